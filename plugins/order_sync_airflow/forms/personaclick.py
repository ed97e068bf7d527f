"""The form of a connection to PersonaClick."""

TITLE = "PersonaClick"
HOOK = "PersonaClickHook"
ADDRESS = "https://api.personaclick.com"
LOGIN, LOGIN_HELP = "shop_id", "the shop's id, from its settings at PersonaClick"
SECRET, SECRET_HELP = "shop_secret", "the shop's secret, from the same place"
