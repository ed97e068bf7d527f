"""PersonaClick: the platform of REES46 under its own name and host, with the same calls and answers."""

from dataclasses import replace
from functools import partial

from include.order_sync.providers import rees46

TITLE = "PersonaClick"

PROVIDER = replace(
    rees46.PROVIDER,
    name="personaclick",
    title=TITLE,
    documentation="https://docs.personaclick.com/display/en/Synchronize+Order+Statuses",
    read=partial(rees46.read_answer, title=TITLE),
)
