// The script's functions that the host may call: by number, for as long as the state lives.
'use strict';
(function callbacks({ values, describe, put }, now) {
  const { apply } = Reflect;
  const { create } = Object;
  const mapGet = Map.prototype.get, mapSet = Map.prototype.set;
  const TypeErr = TypeError;

  const ids = new Map(), functions = create(null);
  let count = 0;
  // what returns after its world has ended is told to nobody
  const giveBack = (world, id, field, text) => {
    if (world !== now()) return;
    put(world.returned, '{"id":' + id + ',"' + field + '":' + text + '}');
    world.calls--;
  };
  const numbered = (number) => functions[number] ?? (() => { throw new TypeErr('the script has no function number ' + number); });
  return {
    __proto__: null,
    idOf(called) {
      let id = apply(mapGet, ids, [called]);
      if (id === undefined) {
        id = ++count;
        apply(mapSet, ids, [called, id]);
        functions[id] = called;
      }
      return id;
    },
    of: numbered,
    async invoke(id, number, args) {
      const world = now();
      world.calls++;
      try {
        giveBack(world, id, 'value', values.valueText(await apply(numbered(number), undefined, args), 'result'));
      } catch (error) { giveBack(world, id, 'fault', describe(error)); }
    },
  };
})
