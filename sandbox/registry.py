"""The registry of the sandbox's services, with the facts of each and the account that it knows.

Tests, `make chaos` and the demo read accounts and facts here. It imports no server, so that they may do so cheaply.
"""

from collections.abc import Mapping

from sandbox import justclick, rees46, yespo
from sandbox.service import Service

# A further service is one more module here. It has CREDENTIALS, with defaults, and services() of them.
SERVICE_MODULES = (rees46, yespo, justclick)

DEFAULT_CREDENTIALS: dict[str, str] = {
    name: default for module in SERVICE_MODULES for name, default in module.CREDENTIALS.items()
}


def new_services(credentials: Mapping[str, str] | None = None) -> list[Service]:
    """Return the services of one sandbox, none of which has taken anything yet.

    :param credentials: the ones that differ from DEFAULT_CREDENTIALS.
    """
    given = dict(credentials or {})
    if unknown := sorted(given.keys() - DEFAULT_CREDENTIALS.keys()):
        known = ", ".join(DEFAULT_CREDENTIALS)
        raise ValueError(f"unknown credentials {', '.join(unknown)}; there are {known}")
    in_force = DEFAULT_CREDENTIALS | given
    return [service for module in SERVICE_MODULES for service in module.services(in_force)]


# Service name -> the service with its default account, for its facts alone: a sandbox serves new ones of its own.
SERVICES: dict[str, Service] = {service.name: service for service in new_services()}
