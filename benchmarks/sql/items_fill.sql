insert into bench_order_items
select order_id, 'SKU-' || right(phone, 4) || piece, 'Thing ' || piece, 'things', piece,
       round(total_cost / (2 * piece), 2), 'https://shop.example/thing/' || piece,
       'https://shop.example/thing/' || piece || '.jpg'
from bench_orders, generate_series(1, 2) as piece
