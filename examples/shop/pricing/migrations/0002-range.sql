-- What the shop's range costs, in euro cents.
insert into prices (product_id, base_cents) values
  ('espresso-cup', 2490), ('pour-over-kettle', 5490), ('burr-grinder', 7900), ('chef-knife', 8900),
  ('paring-knife', 2900), ('cutting-board', 4900), ('cast-iron-pan', 5900), ('saucepan', 6900),
  ('mixing-bowls', 3490), ('kitchen-scale', 2690), ('rolling-pin', 1890), ('bread-tin', 1690),
  ('salt-mill', 3290), ('tea-pot', 3990), ('lunch-box', 2790), ('linen-apron', 4490),
  ('desk-lamp', 6990), ('notebook-a5', 1690), ('fountain-pen', 4900), ('mechanical-pencil', 1490),
  ('desk-mat', 3900), ('monitor-stand', 5490), ('cable-tray', 2490), ('paper-tray', 2990),
  ('stapler', 1990), ('whiteboard', 7490), ('book-stand', 2290), ('wall-clock', 3490),
  ('wool-blanket', 9900), ('linen-sheets', 14900), ('down-pillow', 4990), ('bath-towel', 2990),
  ('candle', 1990), ('vase', 4490), ('picture-frame', 2790), ('door-mat', 2490),
  ('storage-basket', 3290), ('laundry-bag', 2190), ('clothes-brush', 1890), ('mirror', 6490),
  ('plant-pot', 1590), ('watering-can', 3990), ('secateurs', 3490), ('garden-gloves', 2190),
  ('hand-trowel', 1790), ('seed-box', 1290), ('bird-feeder', 2990), ('hammock', 7900),
  ('fire-bowl', 9900), ('picnic-rug', 5900), ('backpack', 11900), ('weekender', 14900),
  ('water-bottle', 2790), ('travel-mug', 2490), ('rain-jacket', 18900), ('wool-socks', 1990),
  ('head-torch', 3990), ('pocket-knife', 3490), ('wash-bag', 3290), ('sunglasses', 8900),
  ('bike-lights', 3990), ('bike-lock', 6990), ('umbrella', 3490), ('chess-set', 6900),
  ('playing-cards', 1290), ('wooden-puzzle', 3990), ('dominoes', 2190), ('kite', 2490);
