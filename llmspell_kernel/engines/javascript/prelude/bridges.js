// Bridges as globals: one closure for each method, which starts an effect.
'use strict';
(function bridges({ hidden, global, held, label, values, each, has }, { ask, headOf }, { camel, missing, addAliases }) {
  const { defineProperty } = Reflect;
  const { create, freeze, preventExtensions } = Object;
  const { asyncIterator } = Symbol;

  // `for await (const chunk of llm.stream(p))`: the promise of something that can be looped over can be looped over itself.
  const loopable = (promise) => {
    let steps;
    const begun = async () => steps ??= (await promise)[asyncIterator]();
    defineProperty(promise, asyncIterator, hidden(function iterate() {
      return {
        async next() { return (await begun()).next(); },
        async return(value) { return (await begun()).return(value); },
        [asyncIterator]() { return this; },
      };
    }));
    return promise;
  };
  // closed by forbidding additions: freezing would give each function a shape of its own
  const method = (name, head) => {
    const made = { [name](...args) { return ask(head, '}', args, made); } }[name];
    return preventExtensions(made);
  };
  const loopingMethod = (name, head) => {
    const made = { [name](...args) { return loopable(ask(head, '}', args, made)); } }[name];
    return preventExtensions(made);
  };

  const known = create(null);
  const add = (name, methods, loops, aliases) => {
    const prototype = missing(name, each(methods, camel));
    values.learn(prototype, 'bridge');
    const bridge = create(prototype);
    each(methods, (called) => {
      const made = (has(loops, called) ? loopingMethod : method)(camel(called), headOf(name, called));
      defineProperty(bridge, camel(called), { __proto__: null, enumerable: true, value: made });
    });
    addAliases(bridge, aliases);
    label(bridge, '[bridge ' + name + ']');
    freeze(bridge);
    // the global may be shadowed (`let llm = 1`): it is the script's own world
    const present = held(name);
    if (present === undefined || present === known[name]) global(name, bridge);
    known[name] = bridge;
  };
  const remove = (name) => {
    if (known[name] === undefined) return;
    if (held(name) === known[name]) delete globalThis[name];
    delete known[name];
  };
  return { __proto__: null, add, remove, has: (name) => known[name] !== undefined };
})
