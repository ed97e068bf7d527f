"""The registry of providers: one line each."""

from include.order_sync.providers import justclick, personaclick, rees46, yespo
from include.order_sync.providers.base import Provider

PROVIDERS: dict[str, Provider] = {
    "rees46": rees46.PROVIDER,
    "personaclick": personaclick.PROVIDER,
    "yespo": yespo.PROVIDER,
    "justclick": justclick.PROVIDER,
}
