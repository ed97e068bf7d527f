-- Thirty items in each order: some 6 KB of JSON.
alter table bench_orders add column items json;
update bench_orders set items = (
    select json_agg(json_build_object(
        'item_id', 'SKU-' || right(phone, 4) || piece,
        'name', 'A thing with a rather long name ' || piece,
        'quantity', piece,
        'cost', round(total_cost / (2 * piece), 2),
        'url', 'https://shop.example/thing/' || piece,
        'image_url', 'https://shop.example/thing/' || piece || '.jpg'
    ))
    from generate_series(1, 30) as piece
)
