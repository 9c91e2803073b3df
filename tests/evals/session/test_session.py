"""A session of the evaluations: one journal for all, replay, equal requests, a limit of calls, and what threads are told."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import dspy
import pytest

from evals.judges.ask import CaseCall, judge_all, judging_limits
from evals.session.bridge import Bridge, Halt
from evals.session.session import CallsSpent, Session, SessionRequest, open_session, window_for
from skills_dspy.base.errors import (
    ContextTooLong,
    MissingReply,
    ModelMissing,
    RequestError,
    RunDirError,
    ServerError,
    Unreadable,
)
from skills_dspy.model.context_window import RunPrompts
from skills_dspy.model.server.server import Model
from tests.helpers.judges import CONFIG, QUESTION, JudgeServer, a_case, within
from tests.helpers.making import a_config, a_program, a_spec, idle
from tests.helpers.seeding import a_seed

CASES = [CaseCall(a_case(QUESTION, 1, number), QUESTION) for number in range(3)]


async def judged(session: Session, **more: Any) -> list[object]:
    """The labels of all cases."""
    asker = session.asker(a_program(), judging_limits(session.config), 0, 8192, **more)
    return [said.label for said in await judge_all(asker, CASES)]


def test_no_more_requests_are_in_flight_than_asked_for(tmp_path: Path) -> None:
    """Two at a time; in the end the server is closed."""
    server = JudgeServer()
    within(SessionRequest(tmp_path, CONFIG, concurrency=2), server, judged)
    assert server.most_in_flight == 2
    assert server.closed


# -- replay -------------------------------------------------------------------------------------------------------------


def test_a_replay_needs_no_server(tmp_path: Path) -> None:
    """The recording answers, and says what answered it."""
    server = JudgeServer()
    within(SessionRequest(tmp_path / "e", CONFIG, note="a judge made by hand"), server, judged)

    async def work(session: Session) -> tuple[list[object], str, int]:
        return await judged(session), session.answered_by, session.meter.live

    replay = SessionRequest(tmp_path / "again", CONFIG, recorded=tmp_path / "e")
    assert within(replay, None, work) == ([1, 1, 1], "a judge made by hand", 0)
    # What was replayed is a recording again.
    third = SessionRequest(tmp_path / "third", CONFIG, recorded=tmp_path / "again")
    assert within(third, None, work) == ([1, 1, 1], "a judge made by hand", 0)


def test_a_replay_lacks_what_was_not_asked(tmp_path: Path) -> None:
    """It does not go to a server for it."""

    async def nothing(_: Session) -> None:
        return None

    within(SessionRequest(tmp_path / "e", CONFIG), JudgeServer(), nothing)
    with pytest.raises(MissingReply):
        within(SessionRequest(tmp_path / "again", CONFIG, recorded=tmp_path / "e"), None, judged)


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    """And nothing else is asked."""
    with pytest.raises(RunDirError, match=r"no recording at .*nowhere"):
        within(SessionRequest(tmp_path / "e", CONFIG, recorded=tmp_path / "nowhere"), None, judged)


def test_a_recording_is_not_written_to(tmp_path: Path) -> None:
    """A replay into its own folder is refused."""
    within(SessionRequest(tmp_path / "e", CONFIG), JudgeServer(), judged)
    with pytest.raises(RequestError, match="is the recording itself"):
        within(SessionRequest(tmp_path / "e", CONFIG, recorded=tmp_path / "x" / ".." / "e"), None, judged)


# -- who answers --------------------------------------------------------------------------------------------------------


def answered_by(folder: Path, server: JudgeServer, note: str | None = None) -> str:
    """Who has answered, by a session that asks nothing."""

    async def work(session: Session) -> str:
        return session.answered_by

    return within(SessionRequest(folder, CONFIG, note=note), server, work)


def test_everybody_who_has_answered_in_a_folder_is_named_once(tmp_path: Path) -> None:
    """Replies that a simulation left in the journal may not pass for a model's."""
    ollama = "Ollama 0.0.0-fake at http://fake:11434"
    assert answered_by(tmp_path, JudgeServer(), "a simulation") == "a simulation"
    assert answered_by(tmp_path, JudgeServer()) == f"a simulation; then {ollama}"
    assert answered_by(tmp_path, JudgeServer(), "a simulation") == f"a simulation; then {ollama}"


def test_a_model_that_has_changed_is_refused(tmp_path: Path) -> None:
    """Replies are kept by its name, and those of the old one would pass for the new one's."""
    answered_by(tmp_path, JudgeServer(digest="1" * 64))
    with pytest.raises(
        RunDirError, match=r"^the same name has other weights now: mistral-small3.* choose another --output-dir"
    ):
        answered_by(tmp_path, JudgeServer(digest="2" * 64))
    answered_by(tmp_path, JudgeServer(digest="1" * 64))


def test_another_spelling_hides_no_change_of_weights(tmp_path: Path) -> None:
    """The replies are those of the model that the server means; a replay finds them by any of its names."""

    class Folding(JudgeServer):
        async def model(self, name: str) -> Model:
            return await super().model(name.lower())

    def asked(server: JudgeServer | None, name: str, **more: Any) -> str:
        config = a_config({"generator": {"model": name}})
        folder = tmp_path / ("replay" if more else "evals")
        return within(SessionRequest(folder, config, **more), server, lambda session: named(session, name))

    async def named(session: Session, name: str) -> str:
        return session.models[name].name

    assert asked(Folding(digest="1" * 64), "fox") == "fox:latest"
    assert asked(Folding(digest="1" * 64), "FOX") == "fox:latest"
    assert asked(None, "Fox", recorded=tmp_path / "evals") == "fox:latest"
    with pytest.raises(RunDirError, match=r"^the same name has other weights now: fox:latest"):
        asked(Folding(digest="2" * 64), "Fox")


def test_all_models_are_asked_for_before_anything_else(tmp_path: Path) -> None:
    """Those of the roles and the extra ones, each once; one that is missing ends it."""
    config = a_config({"validator": {"model": "judge"}, "generator": {"model": "writer"}})
    server = JudgeServer()
    within(SessionRequest(tmp_path / "a", config, extra_models=("other", "judge")), server, judged)
    assert server.models_asked == ["writer", "judge", "other"]
    with pytest.raises(ModelMissing):
        within(SessionRequest(tmp_path / "b", config, extra_models=("missing",)), JudgeServer(), judged)


def test_another_judge_may_judge(tmp_path: Path) -> None:
    """Its replies are its own: nothing of the configured judge's is taken for them."""
    server = JudgeServer()

    async def both(session: Session) -> None:
        await judged(session)
        await judged(session, judge="other")

    within(SessionRequest(tmp_path, CONFIG, extra_models=("other",)), server, both)
    assert len(set(server.asked)) == 6


def test_a_folder_is_used_by_one_session_at_a_time(tmp_path: Path) -> None:
    """The second one is told so."""

    async def nested(_: Session) -> None:
        async with open_session(SessionRequest(tmp_path, CONFIG), JudgeServer):
            pass

    with pytest.raises(RunDirError, match="is using"):
        within(SessionRequest(tmp_path, CONFIG), JudgeServer(), nested)


# -- calls --------------------------------------------------------------------------------------------------------------


def test_two_equal_requests_in_flight_are_one_call(tmp_path: Path) -> None:
    """DSPy's tools send a slow request again; both get the one reply."""
    server = JudgeServer()

    async def both(session: Session) -> list[list[object]]:
        return list(await asyncio.gather(judged(session), judged(session)))

    assert within(SessionRequest(tmp_path, CONFIG), server, both) == [[1, 1, 1], [1, 1, 1]]
    assert len(server.asked) == 3


def test_one_who_gives_up_leaves_the_call_to_the_other(tmp_path: Path) -> None:
    """The reply is on its way, and it is paid for."""
    go = asyncio.Event()

    async def wait(_: int) -> None:
        await go.wait()

    async def work(session: Session) -> list[object]:
        first, second = (asyncio.ensure_future(judged(session)) for _ in range(2))
        await idle()
        first.cancel()
        await idle()
        go.set()
        return await second

    server = JudgeServer(before=wait)
    assert within(SessionRequest(tmp_path, CONFIG), server, work) == [1, 1, 1]
    assert len(server.asked) == 3


def test_an_error_that_nobody_waits_for_any_more_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that goes away fails all that is in flight; the first failure is the one that is told."""

    async def fail(number: int) -> None:
        await idle(number)
        raise ServerError("it is gone")

    for seed in range(8):  # of the turns until each is asked
        with pytest.raises(ServerError, match="it is gone"):
            within(SessionRequest(tmp_path, CONFIG), JudgeServer(before=fail, seed=seed), judged)
    gc.collect()
    assert capsys.readouterr().err == ""


def test_calls_may_be_limited(tmp_path: Path) -> None:
    """What the journal has costs nothing; the first call too many ends it, and what came is kept."""
    with pytest.raises(CallsSpent, match="the 2 calls that were allowed are spent"):
        within(SessionRequest(tmp_path, CONFIG, most_calls=2, concurrency=1), JudgeServer(), judged_one_by_one)
    server = JudgeServer()
    assert within(SessionRequest(tmp_path, CONFIG, most_calls=1), server, judged_one_by_one) == [1, 1, 1]
    assert len(server.asked) == 1


def test_calls_that_were_counted_are_kept_when_no_more_are_allowed(tmp_path: Path) -> None:
    """One call too many waits for those that are on their way: they are paid for, and nobody asks for them again."""
    go = asyncio.Event()

    async def wait(_: int) -> None:
        asyncio.get_running_loop().call_later(0.05, go.set)
        await go.wait()

    with pytest.raises(CallsSpent):
        within(SessionRequest(tmp_path, CONFIG, most_calls=2), JudgeServer(before=wait), judged)
    server = JudgeServer()
    assert within(SessionRequest(tmp_path, CONFIG), server, judged) == [1, 1, 1]
    assert len(server.asked) == 1


async def judged_one_by_one(session: Session) -> list[object]:
    """The labels of all cases, each asked for when the one before it is there."""
    asker = session.asker(a_program(), judging_limits(session.config), 0, 8192)
    return [(await judge_all(asker, [case]))[0].label for case in CASES]


def test_calls_that_are_on_their_way_end_with_the_session(tmp_path: Path) -> None:
    """Nothing waits for them."""
    began = asyncio.Event()

    async def for_ever(_: int) -> None:
        began.set()
        await asyncio.Event().wait()

    async def work(session: Session) -> str:
        task = asyncio.ensure_future(judged(session))
        await began.wait()
        task.cancel()
        return "over"

    server = JudgeServer(before=for_ever)
    assert within(SessionRequest(tmp_path, CONFIG), server, work) == "over"
    assert server.in_flight == 0


# -- windows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "reply", "window"), [(1, 1, 4096), (4000, 96, 4096), (4000, 97, 8192), (16_000, 400, 32768)]
)
def test_a_window_holds_prompt_and_reply(prompt: int, reply: int, window: int) -> None:
    """In few steps, so that the model is not loaded anew for every few tokens."""
    assert window_for(CONFIG, prompt, reply, 32768) == window


def test_a_session_asks_in_the_window_of_a_run_on_its_tasks(tmp_path: Path) -> None:
    """Unless it needs more itself: every other window makes the server load the model anew, and one of two waits."""
    spec = a_spec((a_seed(1, "grounded").model_copy(update={"context": "A fox. " * 700}), a_seed(2, "grounded")))
    run = RunPrompts((spec,), CONFIG)
    (usual,) = run.windows({}).values()
    assert usual > 4096

    async def work(session: Session) -> None:
        for needed in (4096, 2 * usual):
            await judge_all(session.asker(a_program(), judging_limits(CONFIG), needed, needed), CASES)

    server = JudgeServer()
    within(SessionRequest(tmp_path, CONFIG, beside=run), server, work)
    asked = [payload["options"]["num_ctx"] for payload in server.payloads]
    assert asked == [usual] * len(CASES) + [2 * usual] * len(CASES)


def test_a_prompt_that_cannot_fit_is_refused() -> None:
    """Ollama would cut it without a word; it is said whether the configuration or the model does not allow it."""
    with pytest.raises(ContextTooLong, match=r"max_num_ctx \(32768\)"):
        window_for(CONFIG, 32_000, 1000, 32768)
    with pytest.raises(ContextTooLong, match="the 4096 tokens that a model can have"):
        window_for(CONFIG, 4000, 1000, 4096)


# -- threads ------------------------------------------------------------------------------------------------------------


def asks_in_a_thread(session: Session) -> Any:
    """DSPy asks in a thread, as its optimizers do."""
    predict = dspy.Predict(a_program().predictor(QUESTION).signature)
    lm = session.lm(session.config.model_for("validator"), "validator", 8192, temperature=0.0, max_tokens=100, seed=1)
    with dspy.context(adapter=session.adapter):
        return predict(lm=lm.copy(), **CASES[0].case.inputs())


def in_a_thread(folder: Path, server: JudgeServer) -> Any:
    """What DSPy gets."""

    async def work(session: Session) -> Any:
        return await asyncio.to_thread(asks_in_a_thread, session)

    return within(SessionRequest(folder, CONFIG), server, work)


def test_a_thread_asks_the_same_journal(tmp_path: Path) -> None:
    """A copy of the model is as good as the model."""
    server = JudgeServer()
    assert in_a_thread(tmp_path, server).rating == in_a_thread(tmp_path, server).rating == 1
    assert len(server.asked) == 1


def test_what_concerns_the_whole_evaluation_halts_it(tmp_path: Path) -> None:
    """DSPy takes every Exception for a bad score of one example; this one is none, and carries our error."""

    async def fail(_: int) -> None:
        raise ServerError("it is gone")

    with pytest.raises(Halt) as halted:
        in_a_thread(tmp_path, JudgeServer(before=fail))
    assert isinstance(halted.value.error, ServerError)
    assert not isinstance(halted.value, Exception)


def test_nobody_gets_through_when_the_session_is_over(tmp_path: Path) -> None:
    """A thread that DSPy left behind is told, and does not wait for ever."""
    kept: list[Session] = []

    async def work(session: Session) -> None:
        kept.append(session)

    within(SessionRequest(tmp_path, CONFIG), JudgeServer(), work)
    with pytest.raises(Halt, match="session is over"):
        asks_in_a_thread(kept[0])


def test_the_bridge_gives_what_the_work_gives() -> None:
    """A result, a reply's error as it is, and a Halt for a session that ends meanwhile."""

    async def value() -> int:
        return 3

    async def unreadable() -> int:
        raise Unreadable("no JSON", "x")

    async def for_ever() -> int:
        await asyncio.Event().wait()
        return 0

    async def main() -> None:
        bridge = Bridge(asyncio.get_running_loop())
        assert await asyncio.to_thread(bridge.run, value()) == 3
        with pytest.raises(Unreadable):
            await asyncio.to_thread(bridge.run, unreadable())
        waiting = asyncio.create_task(asyncio.to_thread(bridge.run, for_ever()))
        await idle()
        bridge.close()
        with pytest.raises(Halt):
            await waiting

    asyncio.run(main())
