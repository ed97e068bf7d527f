select order_id, status, changed_at as status_changed_at, order_id as bill_id, 'RR' || order_id as tracking_number
from order_changes
where changed_at >= :window_start and changed_at < :window_end and has_bill
order by changed_at, id
