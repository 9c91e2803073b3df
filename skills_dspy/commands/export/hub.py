"""Uploading an exported dataset to the Hugging Face Hub, the only module that does."""

from pathlib import Path

from skills_dspy.base.errors import HubError
from skills_dspy.model.embedding.weights import hub_trouble


def upload(folder: Path, repo: str, *, public: bool) -> str:
    """Upload a folder as a dataset, into a repository that is made if there is none; returns its address.

    Args:
        folder: as the `hf` export wrote it.
        repo: `owner/name`, or `name` for the token's owner.
        public: whether everybody may read it. Without this, a repository that is public already is refused.

    Raises:
        HubError: there is no token, the Hub refuses or cannot be reached; what was exported is untouched.
    """
    import httpx
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError
    from huggingface_hub.errors import HTTPError as NotAsked  # type: ignore[attr-defined] # httpx's, or from 2 on httpx2's

    from skills_dspy.model.server.connections import without_secrets

    api = HfApi(token=require_token())
    try:
        try:
            found = api.repo_info(repo, repo_type="dataset")
        except RepositoryNotFoundError:
            repo = api.create_repo(repo, repo_type="dataset", private=not public).repo_id
        else:
            if not public and found.private is not True:
                raise HubError(f"the dataset {repo} is public already; add --public to upload there, or name another")
        done = api.upload_folder(
            folder_path=folder,
            repo_id=repo,
            repo_type="dataset",
            commit_message="Upload with skills_dspy",
            delete_patterns="data/*",
        )
    except OfflineModeIsEnabled as error:
        raise HubError(f"{repo} cannot be uploaded: HF_HUB_OFFLINE is set; unset it") from error
    except HFValidationError as error:
        raise HubError(f"--push-to-hub {repo}: {_brief(error)}") from error
    except HfHubHTTPError as error:
        raise HubError(
            f"the Hub refused the upload to {repo}: {_brief(error)}; check the name and the token's rights"
        ) from error
    except (NotAsked, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        # The last three: what a proxy variable, HF_ENDPOINT or a token that is none make of the library's client.
        raise HubError(
            f"{repo} cannot be uploaded to {without_secrets(constants.ENDPOINT)}: {hub_trouble(error)}; upload it later with "
            "--overwrite"
        ) from error
    return str(done.repo_url)


def require_token() -> str:
    """The token that `hf auth login` or HF_TOKEN gave; HubError when there is none."""
    from huggingface_hub import get_token

    if (token := get_token()) is None:
        raise HubError("there is no token for the Hugging Face Hub; log in with `hf auth login`, or set HF_TOKEN")
    return token


def _brief(error: Exception) -> str:
    said = getattr(error, "server_message", None) or str(error) or type(error).__name__
    return " ".join(said.split()).rstrip(".")[:300]
