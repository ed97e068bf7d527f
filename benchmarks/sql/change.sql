-- Moves one order in a hundred to a status with another code at REES46 (0 to 1, 1 to 2, 2 to 1), in the same hour.
update bench_orders
set status = case
        when status in ('new', 'paid', 'processing', 'shipped') then 'delivered'
        when status in ('delivered', 'completed') then 'returned'
        else 'completed'
    end,
    updated_at = updated_at + interval '500 milliseconds'
where right(order_id, 2) = '00'
