"""The registry of the sandbox's services, with the facts and the account of each.

Tests, `make chaos` and the demo read accounts and facts here. It imports no server, so importing it is cheap.
"""

from collections.abc import Mapping

from sandbox import justclick, rees46, yespo
from sandbox.service import Service

# A further service is one more module here. The module has CREDENTIALS, with defaults, and a function services().
SERVICE_MODULES = (rees46, yespo, justclick)

DEFAULT_CREDENTIALS: dict[str, str] = {
    name: default for module in SERVICE_MODULES for name, default in module.CREDENTIALS.items()
}


def new_services(credentials: Mapping[str, str] | None = None) -> list[Service]:
    """Return the services of one sandbox, all with empty state.

    :param credentials: only those that differ from DEFAULT_CREDENTIALS.
    """
    given = dict(credentials or {})
    if unknown := sorted(given.keys() - DEFAULT_CREDENTIALS.keys()):
        known = ", ".join(DEFAULT_CREDENTIALS)
        raise ValueError(f"unknown credentials {', '.join(unknown)}; there are {known}")
    in_force = DEFAULT_CREDENTIALS | given
    return [service for module in SERVICE_MODULES for service in module.services(in_force)]


# Service name -> the service with its default account. These give facts only: each sandbox serves its own new ones.
SERVICES: dict[str, Service] = {service.name: service for service in new_services()}
