"""`explain`: the whole story of one row, from its run's directory alone."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from skills_dspy.base.columns import TAG_NAMES, whole
from skills_dspy.base.errors import RunDirError
from skills_dspy.base.records import AnswerPair, Record, Rejection, SoftRating
from skills_dspy.cli.shared.arguments import ExplainOptions
from skills_dspy.cli.terminal.consoles import make_console
from skills_dspy.model.replies import NO_REPLY
from skills_dspy.model.soft import in_words, soft_of
from skills_dspy.model.steps import STEPS
from skills_dspy.store.files import read_rows
from skills_dspy.store.journal import JournaledReply, JournalReader
from skills_dspy.store.reviews import read_reviews, review_place, standing, verdict_on
from skills_dspy.store.run_dir import FoundRow, find_row
from skills_dspy.store.run_json import (
    OLLAMA,
    NotedServer,
    RunJson,
    known_run,
    needed,
    read_run_json,
    run_json_errors,
    server_in_words,
)
from skills_dspy.store.said import said_in
from skills_dspy.tasks.held_out import held_out_in_words


def explain_command(options: ExplainOptions, console: Console | None = None) -> int:
    """Print the story of a row or a rejection; RunDirError when no run has such a row, or several fit."""
    row_id, output_dir = options.row_id, options.output_dir
    found = find_row(output_dir, row_id)
    if found is None:
        raise RunDirError(f"no row {row_id!r} in the runs below {output_dir}; ids stand in data.jsonl and rejected.jsonl")
    out = console or make_console(soft_wrap=True)
    with JournalReader.open(found.paths.journal) as journal:
        _outcome(found, out)
        _source(found, out)
        for stage, digests in found.row["provenance"]["calls"].items():
            for attempt, digest in enumerate(digests, start=1):
                reply = journal.full(digest)
                if reply is None:
                    raise RunDirError(f"{found.paths.journal}: the reply {digest[:12]} of this row is not in the journal")
                _call(stage, attempt, len(digests), reply, found.row["provenance"]["prompts"].get(stage, ""), out)
        _second_answer(found, journal, out)
    return 0


def _second_answer(found: FoundRow, journal: JournalReader, out: Console) -> None:
    """What was asked once more of a row in a dataset with pairs, and which of the two answers is preferred."""
    if not found.paths.pairs.is_file():
        return
    for row in (row for _, row in read_rows(found.paths.pairs) if row.get("id") == found.row["id"]):
        pair = AnswerPair.model_validate(row)
        chosen = pair.chosen.second
        second, first = (pair.chosen, pair.rejected) if chosen else (pair.rejected, pair.chosen)
        ratings = f"{pair.scale} {second.rating} against {first.rating}, margin {pair.margin:g}"
        out.print(f"\n[bold]second answer[/bold], {'chosen' if chosen else 'rejected'}: {ratings}\n{escape(second.answer)}")
        rates = "judge_pair" if pair.scale == "pair_verdict" else pair.scale
        for digest in second.calls:
            if (reply := journal.full(digest)) is not None:
                step = STEPS.get(reply.step)  # None: of another version
                stage = "write_answer" if step is not None and step.stage == "write_answer" else rates
                _call(f"{stage}, second answer", 1, 1, reply, found.row["provenance"]["prompts"].get(stage, ""), out)


def _outcome(found: FoundRow, out: Console) -> None:
    row = found.row
    out.print(f"[bold]{row['id']}[/bold]  {found.kind}  ({escape(str(found.paths.folder))})")
    if found.kind == "rejected":
        out.print(f"[bold]rejected[/bold] by {row['stage']}: {row['reason']}: {escape(str(row['detail']))}")
    _reviewed(found, out)
    for name in ("context", "instruction", "response"):
        if row.get(name) is not None:
            out.print(f"\n[bold]{name}[/bold]\n{escape(row[name])}")
    if found.kind == "rejected":
        raw = row["raw_reply"] or ("(empty)" if row["reason"] == "unreadable" else None)
        if raw is not None:
            out.print(f"\n[bold]the reply that decided[/bold]\n{escape(raw)}")
        return
    question, pair, tags = row["question_verdict"], row["pair_verdict"], row["tags"]
    out.print(f"\n[bold]question judge[/bold] {question['rating']} of 1: {escape(question['explanation'])}")
    _soft(question.get("soft"), out)
    out.print(f"[bold]pair judge[/bold]     {pair['rating']} of 3: {escape(pair['explanation'])}")
    _soft(pair.get("soft"), out)
    for name in TAG_NAMES:
        said = tags["explanations"].get(name)
        out.print(f"[bold]{name}[/bold] {tags[name] or 'none'}{'' if said is None else f': {escape(said)}'}")
        _soft(tags.get("soft", {}).get(name), out)
    if tags["other_categories"]:
        out.print(f"[bold]other categories[/bold] {', '.join(tags['other_categories'])}")


def _soft(soft: dict[str, Any] | None, out: Console) -> None:
    """How probable each label was, where the server said so."""
    if soft is not None:
        out.print(f"  {in_words(SoftRating.model_validate(soft))}")


def _reviewed(found: FoundRow, out: Console) -> None:
    """What a person said of it, if one did."""
    run = read_run_json(found.paths)
    reviews = standing(read_reviews(found.paths if run is None else review_place(found.paths, run)))
    if found.row["id"] not in reviews:
        return
    row = (Record if found.kind == "accepted" else Rejection).model_validate(whole(found.row))
    review = verdict_on(reviews, row)
    if review is None:
        return
    why = "; ".join(filter(None, (review.reason, review.note)))
    out.print(f"[bold]a person[/bold] chose {review.verdict}" + (f", for the {review.about}: {escape(why)}" if why else ""))
    if review.verdict == "edit":
        for name, text in (("instruction", review.instruction), ("response", review.response)):
            out.print(f"\n[bold]{name}, edited[/bold]\n{escape(text or '')}")


def _source(found: FoundRow, out: Console) -> None:
    source = found.row["provenance"]
    out.print(f"\n[bold]draw[/bold] {source['draw']}, question {source['index']} of it")
    models = ", ".join(f"{role} {name}" for role, name in source["models"].items())
    out.print(f"[bold]models[/bold] {escape(models)}")
    run = known_run(found.paths)
    server = run.server or NotedServer()
    named = server.version or "unknown" if server.api == OLLAMA else server_in_words(server.api, server.version or "")
    out.print(f"[bold]server[/bold] {escape('; '.join(filter(None, (named, server.note))))}")
    for host in server.hosts:
        out.print(f"[bold]host[/bold] {escape(host.in_words({} if run.result is None else run.result.usage))}")
    if run.derived_description is not None:
        out.print(f"[bold]description (derived)[/bold] {escape(run.derived_description)}")
    kept = () if run.task is None else run.task.seed_examples or ()
    if told := held_out_in_words([(run.held_out, kept)]):
        out.print(f"[bold]held out[/bold] {told} seeds, which no prompt shows")
    for shown in source["shown"]:
        out.print(f"[bold]shown[/bold] {shown}: {escape(_question(found, shown, run))}")
    for shown in source.get("fitting", ()):
        out.print(f"[bold]shown to the answer[/bold] {shown}: {escape(_question(found, shown, run))}")
    if source.get("rewritten") is not None:
        out.print(f"[bold]written again[/bold] {escape(source['rewritten'])}")
    neighbour = source["neighbour"]
    if neighbour is not None:
        nearest = f"{neighbour['id']} at squared distance {neighbour['distance']:.4f}"
        out.print(f"[bold]nearest[/bold] {nearest}: {escape(_question(found, neighbour['id'], run))}")


def _question(found: FoundRow, name: str, run: RunJson) -> str:
    """The question of a seed or of an accepted row, by the name that provenance gives it; nothing for a row that is gone."""
    if name.startswith("seed:"):
        with run_json_errors(found.paths):
            seeds = needed(needed(run.task, "task").seed_examples, "seed_examples")
        return _brief(seeds[int(name.removeprefix("seed:"))].question)
    other = find_row(found.paths.folder, name)
    return "" if other is None else _brief(other.row["instruction"])


def _call(stage: str, attempt: int, attempts: int, reply: JournaledReply, prompt: str, out: Console) -> None:
    which = f", try {attempt} of {attempts}" if attempts > 1 else ""
    out.print()
    out.rule(f"{stage}{which}")
    body, options = reply.reply, reply.request["options"]
    tokens = f"{body.get('prompt_eval_count', '?')} + {body.get('eval_count', '?')} tokens"
    think = reply.request.get("think", "unset")
    options = options | ({} if think is False else {"think": "on" if think is True else think})
    settings = ", ".join(f"{name} {value}" for name, value in options.items())
    names = f"prompt {prompt}, reply {reply.digest[:12]}{f' from {at}' if (at := body.get('host')) else ''}"
    out.print(escape(f"{reply.request['model']}: {settings}; {tokens}, {reply.seconds:.2f} s; {names}"))
    for message in reply.request["messages"]:
        out.print(f"\n[bold]{message['role']}[/bold]\n{escape(message['content'])}")
    cut = " (cut at num_predict)" if body.get("done_reason") == "length" else ""
    said = said_in(body, reply.request)
    if said.thoughts:
        out.print(f"\n[bold]thoughts[/bold]\n{escape(said.thoughts)}")
    if NO_REPLY in body:
        out.print(f"\n[bold]no reply[/bold]\n{escape(body[NO_REPLY])}")
    else:
        out.print(f"\n[bold]reply{cut}[/bold]\n{escape(said.text)}")
    for name, soft in soft_of(body, reply.request).items():
        out.print(f"[bold]{name}[/bold] {in_words(soft)}")


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:97] + "..."
