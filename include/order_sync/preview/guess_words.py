"""Words for statuses, for sums and for nothing, as shops write them.

In English, Russian, Ukrainian, German and Polish, and the most common ones in Spanish and French.
"""

from __future__ import annotations

from include.order_sync.model import OrderStatus

STATUS_WORDS: dict[OrderStatus, tuple[str, ...]] = {
    OrderStatus.CREATED: (
        *("new", "pending", "created", "open", "placed", "unfulfilled", "awaiting payment", "on hold", "accepted"),
        *(
            "новый",
            "новая",
            "новый заказ",
            "создан",
            "принят, ожидается оплата",
            "ожидает оплаты",
            "принят",
            "оформлен",
            "не оплачен",
        ),
        *("новий", "нове", "нове замовлення", "створено", "очікує оплати", "прийнято", "прийнятий"),
        *("neu", "offen", "angelegt", "nowe", "nowy", "utworzone", "oczekuje", "nuevo", "pendiente", "nouveau"),
    ),
    OrderStatus.PAID: (
        *("paid", "payment received", "captured", "оплачен", "оплачено", "оплачена", "сплачено", "оплачений"),
        *("bezahlt", "opłacone", "zapłacone", "pagado", "payé", "payée"),
    ),
    OrderStatus.IN_PROGRESS: (
        *("processing", "in progress", "confirmed", "packed", "assembled", "partially fulfilled", "preparing"),
        *("в обработке", "обрабатывается", "подтверждён", "подтвержден", "собирается", "собран", "комплектуется"),
        *("в обробці", "в роботі", "підтверджено", "комплектується", "в работе"),
        *("in bearbeitung", "bestätigt", "w realizacji", "w trakcie realizacji", "procesando", "en cours"),
    ),
    OrderStatus.SHIPPED: (
        *("shipped", "sent", "in transit", "dispatched", "on its way", "out for delivery", "ready for pickup"),
        *("отправлен", "отправлено", "отгружен", "в пути", "передан в доставку", "доставляется", "готов к выдаче"),
        *("відправлено", "відправлений", "в дорозі", "доставляється", "прибув у відділення"),
        *("versendet", "verschickt", "versandt", "wysłane", "wysłano", "enviado", "expédié", "expédiée"),
    ),
    OrderStatus.DELIVERED: (
        *("delivered", "completed", "complete", "done", "fulfilled", "closed", "received", "finished"),
        *("доставлен", "доставлено", "выполнен", "выполнено", "завершён", "завершен", "получен", "вручен", "закрыт"),
        *("доставлено", "виконано", "завершено", "отримано", "виконаний"),
        *("geliefert", "zugestellt", "abgeschlossen", "dostarczone", "zrealizowane", "zakończone"),
        *("entregado", "completado", "livré", "livrée", "terminé"),
    ),
    OrderStatus.CANCELLED: (
        *("cancelled", "canceled", "voided", "failed", "expired", "declined", "rejected"),
        *("отменён", "отменен", "отменено", "отмена", "аннулирован", "отказ", "не выкуплен"),
        *("скасовано", "скасований", "відмінено", "відмова", "storniert", "abgebrochen"),
        *("anulowane", "anulowano", "cancelado", "annulé", "annulée"),
    ),
    OrderStatus.RETURNED: (
        *("returned", "refunded", "return", "refund", "partially refunded", "возврат", "возвращён", "возвращен"),
        *("повернення", "повернено", "повернуто", "retourniert", "erstattet", "zwrot", "zwrócone", "devuelto"),
        *("remboursé", "retourné"),
    ),
    OrderStatus.ABANDONED: (
        "abandoned",
        "abandoned cart",
        "checkout draft",
        "брошенная корзина",
        "покинутий кошик",
        "porzucony koszyk",
    ),
}

# Words before the sums at the end of a file.
FOOTERS = (
    "total",
    "totals",
    "grand total",
    "sum",
    "итого",
    "всего",
    "разом",
    "усього",
    "summe",
    "gesamt",
    "suma",
    "razem",
)
# Words for nothing.
NOTHING = ("null", "none", "nan", "n/a", "na", "nil", "\\n", "-", "--", "нет", "немає")
