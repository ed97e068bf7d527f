"""Providers: one module for each service, and their registry with a line for each.

A provider is pure code: it builds requests and reads answers. It may not read files or the ledger, or send anything.
docs/adding-a-service.md says how to add one.
"""

from include.order_sync.providers import justclick, personaclick, rees46, yespo
from include.order_sync.providers.base import Provider

PROVIDERS: dict[str, Provider] = {
    "rees46": rees46.PROVIDER,
    "personaclick": personaclick.PROVIDER,
    "yespo": yespo.PROVIDER,
    "justclick": justclick.PROVIDER,
}
