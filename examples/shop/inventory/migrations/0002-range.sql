-- What the shop begins with: ten thousand of each.
insert into stock (product_id, received, available)
select product_id, 10000, 10000 from unnest(array[
  'espresso-cup', 'pour-over-kettle', 'burr-grinder', 'chef-knife', 'paring-knife', 'cutting-board',
  'cast-iron-pan', 'saucepan', 'mixing-bowls', 'kitchen-scale', 'rolling-pin', 'bread-tin',
  'salt-mill', 'tea-pot', 'lunch-box', 'linen-apron', 'desk-lamp', 'notebook-a5',
  'fountain-pen', 'mechanical-pencil', 'desk-mat', 'monitor-stand', 'cable-tray', 'paper-tray',
  'stapler', 'whiteboard', 'book-stand', 'wall-clock', 'wool-blanket', 'linen-sheets',
  'down-pillow', 'bath-towel', 'candle', 'vase', 'picture-frame', 'door-mat',
  'storage-basket', 'laundry-bag', 'clothes-brush', 'mirror', 'plant-pot', 'watering-can',
  'secateurs', 'garden-gloves', 'hand-trowel', 'seed-box', 'bird-feeder', 'hammock',
  'fire-bowl', 'picnic-rug', 'backpack', 'weekender', 'water-bottle', 'travel-mug',
  'rain-jacket', 'wool-socks', 'head-torch', 'pocket-knife', 'wash-bag', 'sunglasses',
  'bike-lights', 'bike-lock', 'umbrella', 'chess-set', 'playing-cards', 'wooden-puzzle',
  'dominoes', 'kite'
]) as product_id;
