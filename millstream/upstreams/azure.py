"""Azure OpenAI: https://learn.microsoft.com/azure/ai-foundry/openai/reference

For an endpoint's newer address, `…/openai/v1`, use the kind "openai".
"""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from millstream.dialects.reasons import reason_in
from millstream.errors import UpstreamError
from millstream.events import Call
from millstream.settings import SettingError, UpstreamSettings
from millstream.upstreams import quotation, table
from millstream.upstreams.openai import OpenAI
from millstream.upstreams.refusals import Refused

API_VERSION = "2024-10-21"  # the newest version that is not a preview; it supports stream_options


class Azure(OpenAI):
    """The kind "azure". `base_url` is the endpoint alone. Its settings, besides OpenAI's, are `api_version` and
    `deployment`. By default the deployment has the model's name."""

    lists = False
    own = OpenAI.own | {"api_version", "deployment"}
    example = "https://NAME.openai.azure.com"

    def __init__(self, settings: UpstreamSettings) -> None:
        super().__init__(settings)
        if urlsplit(settings.base_url).path.startswith("/openai"):
            raise SettingError(
                f"upstreams.{self.name}.base_url is {settings.base_url!r}; for the kind azure it has to be "
                f'the endpoint alone, such as {self.example}; for one that ends in /openai/v1 write kind = "openai"'
            )
        self._deployment = table.text(settings, "deployment")
        self._query = urlencode({"api-version": table.text(settings, "api_version", API_VERSION)})

    def headers(self, key: str) -> dict[str, str]:
        return {"api-key": key} if key else {}

    def path(self, call: Call) -> str:
        return f"/openai/deployments/{quote(self._deployed(call), safe='')}{super().path(call)}?{self._query}"

    def refusal(self, refused: Refused, call: Call) -> UpstreamError:
        if refused.status != 404 or reason_in(refused.said).code != "DeploymentNotFound":
            return super().refusal(refused, call)
        name = quotation.quote(self._deployed(call), self._secrets)
        says = (
            f'upstream "{self.name}" has no deployment {name!r} (HTTP 404); create it, or set `deployment` to the '
            "name of one that is there. A new one takes some minutes to be found."
        )
        return UpstreamError("upstream_refused", says, elsewhere=True)

    def _deployed(self, call: Call) -> str:
        return self._deployment or call.model
