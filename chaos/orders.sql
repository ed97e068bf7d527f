select order_id, status,
       case when id % 2 = 0 then cast(changed_at at time zone 'Europe/Kyiv' as text) else cast(changed_at as text) end
           as status_changed_at,
       changed_at as updated_at, timestamptz '2025-01-01 10:00:00+02' as created_at,
       'C-' || order_id as customer_id, 'buyer@shop.example' as email, '380942583691' as phone,
       'Anna' as first_name, 'Petrenko' as last_name, '19.90' as total_cost, 'UAH' as currency,
       order_id as bill_id, 'RR' || order_id as tracking_number
from order_changes
where changed_at >= :window_start and changed_at < :window_end
order by changed_at, id
