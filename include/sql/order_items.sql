-- The items of the orders that changed in a window; an order that changed twice in it has its items once.
SELECT
    i.order_id,
    i.item_id,
    i.name,
    i.quantity,
    i.cost,
    i.url,
    i.image_url,
    i.category,
    i.description
FROM order_items AS i
WHERE i.order_id IN (
    SELECT c.order_id
    FROM order_changes AS c
    WHERE c.recorded_at >= :window_start
      AND c.recorded_at < :window_end
)
ORDER BY i.order_id, i.item_id
