// Bridges as globals: one closure for each method, which starts an effect.
//
// A bridge is made when a script first names it: most states use few of them, and each would cost every state its memory.
'use strict';
(function bridges({ hidden, late, label, values, each, has, words }, { ask, headOf }, { camel, missing, addAliases }) {
  const { apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
  const { create, freeze, preventExtensions } = Object;
  const hasOwn = Object.prototype.hasOwnProperty, scope = globalThis;
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

  const build = ({ name, names, loops, aliases }) => {
    const methods = words(names);
    const prototype = missing(name, each(methods, camel));
    values.learn(prototype, 'bridge');
    const bridge = create(prototype);
    each(methods, (called) => {
      const made = (has(loops, called) ? loopingMethod : method)(camel(called), headOf(name, called));
      defineProperty(bridge, camel(called), { __proto__: null, enumerable: true, value: made });
    });
    addAliases(bridge, aliases);
    label(bridge, '[bridge ' + name + ']');
    return freeze(bridge);
  };

  const known = create(null); // name -> what it is made of, the getter of its global, and the bridge, once it is made
  const madeOf = (entry) => entry.bridge ??= build(entry);
  // The bridge behind a global that no script has read yet.
  const unread = (name, descriptor) => {
    const entry = known[name];
    const isGetter = entry?.get !== undefined && descriptor !== undefined && !apply(hasOwn, descriptor, ['value']) && descriptor.get === entry.get;
    return isGetter ? entry : undefined;
  };
  const isIts = (descriptor, entry) => unread(entry.name, descriptor) !== undefined || (entry.bridge !== undefined && descriptor.value === entry.bridge);
  const add = (name, names, loops, aliases) => {
    const descriptor = getOwnPropertyDescriptor(scope, name), before = known[name];
    // the global may be shadowed (`let llm = 1`): it is the script's own world
    const isFree = descriptor === undefined || (before !== undefined && isIts(descriptor, before));
    const entry = known[name] = { __proto__: null, name, make: madeOf, names, loops, aliases, bridge: undefined, get: undefined };
    if (isFree) entry.get = preventExtensions(late(entry));
  };
  const remove = (name) => {
    const entry = known[name], descriptor = getOwnPropertyDescriptor(scope, name);
    if (entry === undefined) return;
    if (descriptor !== undefined && isIts(descriptor, entry)) delete scope[name];
    delete known[name];
  };
  // The bridge of that name, where no script has taken the global for something else; undefined for none that waits to be read.
  const waiting = (name, descriptor) => {
    const entry = unread(name, descriptor);
    return entry === undefined ? undefined : madeOf(entry);
  };
  return { __proto__: null, add, remove, unread, waiting, has: (name) => known[name] !== undefined };
})
