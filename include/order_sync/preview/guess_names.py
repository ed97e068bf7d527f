"""Names of columns as shops write them, and which columns of a file have one of them.

In English, Russian, Ukrainian, German and Polish, and the most common ones in Spanish and French.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from include.order_sync.sources.column_names import plain_name


def squeezed(name: str) -> str:
    """Return a name as plain() does, also without blanks: `orderid` is the same again."""
    return plain(name).replace(" ", "")


def plain(name: str) -> str:
    """Return a name without what differs between shops: `orderId`, `Order_ID` and `order-id` are one, and № is `no`."""
    words = "".join(
        f" {letter}" if before.islower() and letter.isupper() else letter for before, letter in pairwise(f" {name}")
    )
    return plain_name(re.sub(r"[\s_.:,()-]+", " ", re.sub("[№#]", " no ", words)).strip())


# Words that say only that a column has numbers.
_MARKS = frozenset(
    ("no", "nr", "n", "n°", "num", "id", "number", "code", "of", "the", "номер", "код", "ид", "nummer", "numer")
)


def is_order_number(name: str) -> bool:
    """Return whether a name is an order's with the mark of a number in any place: `Заказ №`, `No. of order`."""
    return _unmarked(name) in _ORDER_WORDS


def _unmarked(name: str) -> str:
    return " ".join(word for word in plain(name).split() if word not in _MARKS)


def places_of(column: str, names: Sequence[str]) -> list[int]:
    """Return where the columns stand whose names are known for a canonical column, the surest first.

    Args:
        column: canonical.
        names: of a file's columns.
    """
    exact = [squeezed(name) for name in names]
    found = [at for name in COLUMN_NAMES[column] for at, other in enumerate(exact) if other == squeezed(name)]
    if column == "order_id":
        found += [at for at, name in enumerate(names) if is_order_number(name)]
        # Last, because it may not be the order's: many exports number their rows so.
        found.sort(key=lambda at: not is_order_number(names[at]))
    return list(dict.fromkeys(found))


# Canonical column -> names, the surest first; compared by plain_name(), with _ and - as blanks.
COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "order_id": (
        *(
            "order id",
            "order number",
            "order no",
            "order nr",
            "order",
            "sales order",
            "order reference",
            "order ref",
            "increment id",
            "amazon order id",
            "number",
            "id",
            "name",
        ),
        *("номер заказа", "заказ", "код заказа", "заказ покупателя", "заказ клиента", "номер", "№"),
        *("номер замовлення", "замовлення", "код замовлення", "замовлення покупця", "замовлення клієнта"),
        *("bestellnummer", "auftragsnummer", "bestell-nr", "bestellung"),
        *("numer zamówienia", "nr zamówienia", "zamówienie", "id zamówienia"),
        *("número de pedido", "pedido", "numéro de commande", "commande"),
    ),
    "status": (
        *("status", "order status", "state", "fulfillment status", "status name", "financial status"),
        *("payment status", "status description"),
        *(
            "статус",
            "статус заказа",
            "состояние",
            "состояние заказа",
            "статус замовлення",
            "стан",
            "статус доставки",
            "статус оплаты",
        ),
        *("bestellstatus", "auftragsstatus", "status zamówienia", "stan", "estado", "statut", "état"),
    ),
    "status_changed_at": (
        *("status changed at", "status changed", "status date", "changed at", "changed", "updated at", "updated"),
        *(
            "date modified",
            "modified at",
            "modified",
            "last update",
            "last modified",
            "last updated",
            "last updated date",
            "date updated",
            "update date",
        ),
        *(
            "дата последнего изменения",
            "последнее изменение",
            "дата изменения статуса",
            "дата статуса",
            "изменён",
            "изменен",
            "дата изменения",
            "обновлён",
            "обновлено",
        ),
        *("дата зміни статусу", "дата зміни", "змінено", "оновлено"),
        *("geändert am", "geändert", "status geändert", "aktualisiert", "letzte änderung"),
        *("data zmiany statusu", "data zmiany", "data modyfikacji", "zaktualizowano"),
        *("fecha de actualización", "actualizado", "date de modification", "modifié le"),
    ),
    "created_at": (
        *(
            "created at",
            "created",
            "order date",
            "date added",
            "date created",
            "purchased on",
            "placed at",
            "ordered at",
            "order time",
        ),
        *("purchase date", "sale date", "date"),
        *("дата заказа", "дата создания", "создан", "дата оформления", "дата", "дата замовлення", "створено"),
        *("bestelldatum", "auftragsdatum", "erstellt am", "datum", "data zamówienia", "data utworzenia", "data"),
        *("fecha del pedido", "fecha", "date de commande"),
    ),
    "customer_id": (
        *("customer id", "client id", "user id", "customer", "customer number", "id клиента", "код клиента", "клиент"),
        *("id клієнта", "код клієнта", "kundennummer", "kunden-nr", "id klienta", "cliente", "client"),
    ),
    "email": (
        *("email", "e-mail", "mail", "customer email", "email address", "billing email", "эл. почта", "почта"),
        *(
            "электронная почта",
            "имейл",
            "пошта",
            "електронна пошта",
            "e-mail-adresse",
            "adres e-mail",
            "correo",
            "courriel",
        ),
    ),
    "phone": (
        *("phone", "telephone", "tel", "mobile", "phone number", "billing phone", "customer phone", "телефон"),
        *("номер телефона", "моб. телефон", "мобильный", "номер телефону", "telefon", "telefonnummer", "handy"),
        *("numer telefonu", "teléfono", "téléphone"),
    ),
    "first_name": ("first name", "firstname", "имя", "ім'я", "ім’я", "vorname", "imię", "nombre", "prénom"),
    "last_name": ("last name", "lastname", "surname", "фамилия", "прізвище", "nachname", "nazwisko", "apellido"),
    "total_cost": (
        *("total", "grand total", "total cost", "order total", "amount", "total price", "sum", "price"),
        *("сумма", "сумма заказа", "итого", "стоимость", "всего", "сума", "сума замовлення", "разом", "вартість"),
        *("gesamt", "gesamtbetrag", "summe", "betrag", "kwota", "suma", "wartość", "importe", "montant"),
    ),
    "currency": ("currency", "currency code", "валюта", "währung", "waluta", "moneda", "devise"),
    "shipping": ("shipping", "shipping cost", "shipping amount", "доставка", "стоимость доставки", "versandkosten"),
    "discount": ("discount", "discount amount", "скидка", "знижка", "rabatt", "rabat", "descuento", "remise"),
    "taxes": ("taxes", "tax", "vat", "налог", "ндс", "пдв", "mwst", "steuer", "podatek", "impuestos", "taxe"),
    "delivery_method": ("shipping method", "delivery method", "способ доставки", "спосіб доставки", "versandart"),
    "payment_method": ("payment method", "способ оплаты", "спосіб оплати", "zahlungsart", "metoda płatności"),
    "delivery_address": (
        "shipping address",
        "delivery address",
        "address",
        "адрес",
        "адрес доставки",
        "адреса доставки",
    ),
    "items": ("items", "products", "товары", "товари", "artikel", "produkty"),
    "bill_id": ("bill id", "bill", "номер счёта", "номер счета"),
    "tracking_number": ("tracking number", "track number", "ttn", "ттн", "трек-номер", "номер ттн", "sendungsnummer"),
}

# What is left of the names of an order's id without the marks of a number.
_ORDER_WORDS = frozenset(map(_unmarked, COLUMN_NAMES["order_id"])) - {"", "name"}

# Canonical item column -> names of columns and of keys in JSON, as above.
ITEM_NAMES: dict[str, tuple[str, ...]] = {
    "item_id": (
        *("item id", "lineitem sku", "item sku", "sku", "product id", "product sku", "article", "item code", "id"),
        *("артикул", "код товара", "артикул товара", "код товару", "artikelnummer", "artikel nr", "kod produktu"),
    ),
    "name": (
        *("item name", "lineitem name", "product name", "product", "item", "title", "name", "товар", "наименование"),
        *("название товара", "наименование товара", "номенклатура", "назва товару", "artikel", "produkt"),
    ),
    "quantity": (
        *("lineitem quantity", "item quantity", "quantity", "qty", "количество", "кол во", "количество товара"),
        *("кількість", "к сть", "menge", "anzahl", "ilość"),
    ),
    "cost": (
        *(
            "lineitem price",
            "item price",
            "item cost",
            "unit price",
            "price",
            "cost",
            "цена",
            "цена товара",
            "ціна",
            "preis",
        ),
        *("einzelpreis", "cena"),
    ),
    "url": ("item url", "product url", "url", "link", "ссылка", "посилання"),
    "image_url": ("image url", "product image", "image", "picture", "изображение", "картинка", "зображення"),
    "category": ("category", "категория", "категорія", "kategorie", "kategoria"),
}

# Columns that have something in them where an order was cancelled.
CANCELLED_AT = (
    "cancelled at",
    "canceled at",
    "cancel date",
    "дата отмены",
    "отменён",
    "дата скасування",
    "storniert am",
)
