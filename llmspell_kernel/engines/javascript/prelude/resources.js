// What the host keeps for the script, as objects that hold an opaque id: their methods are effects with that id as their target.
'use strict';
(function resources({ label, values, each, has }, { ask, headOf }, { camel, missing, addAliases }) {
  const { apply, defineProperty } = Reflect;
  const { create, freeze, keys: keysOf, preventExtensions } = Object;
  const { asyncIterator } = Symbol;
  const weakGet = WeakMap.prototype.get, weakSet = WeakMap.prototype.set;
  const TypeErr = TypeError, { startsWith } = String.prototype;

  const refs = new WeakMap();
  const refOf = (value) => apply(weakGet, refs, [value]);
  const refHere = (value, type) => {
    const ref = typeof value === 'object' && value !== null ? refOf(value) : undefined;
    if (ref === undefined || ref.type !== type) throw new TypeErr('a method of ' + type + ' was called without its object');
    return ref;
  };
  const tailOf = (ref) => ',"target":' + ref.id + '}';
  const method = (name, head, type) => {
    const made = { [name](...args) { return ask(head, tailOf(refHere(this, type)), args, made); } }[name];
    return preventExtensions(made);
  };
  const iterated = (type, spec) => function iterate() {
    const tail = tailOf(refHere(this, type));
    const nextHead = headOf(type, spec.iterate), closeHead = has(spec.methods, 'close') ? headOf(type, 'close') : '';
    let done = false;
    const end = (value) => ({ value, done: true });
    const steps = {
      async next() {
        if (done) return end(undefined);
        const asked = ask(nextHead, tail, [], steps.next);
        try {
          const value = await asked;
          if (value === null || value === undefined) { done = true; return end(undefined); }
          return { value, done: false };
        } catch (error) { done = true; throw error; }
      },
      async return(value) {
        if (!done) {
          done = true;
          if (closeHead !== '') await ask(closeHead, tail, [], steps.return);
        }
        return end(value);
      },
      [asyncIterator]() { return steps; },
    };
    return steps;
  };
  const prototypeOf = (type, spec, aliases) => {
    const prototype = create(missing(type, each(spec.methods, camel)));
    each(spec.methods, (called) => {
      defineProperty(prototype, camel(called), { __proto__: null, enumerable: true, value: method(camel(called), headOf(type, called), type) });
    });
    addAliases(prototype, aliases);
    if (spec.iterate) defineProperty(prototype, asyncIterator, { __proto__: null, value: freeze(iterated(type, spec)) });
    freeze(prototype);
    values.learn(prototype, 'resource');
    return prototype;
  };

  // type -> what it is made of, and its prototype, once it is made: with the first resource
  const types = create(null), unknown = prototypeOf('resource', { methods: [], iterate: '' }, {});
  return {
    __proto__: null, refOf,
    add(type, spec, aliases) { types[type] = { __proto__: null, spec, aliases, prototype: undefined }; },
    removeAllOf(bridge) {
      each(keysOf(types), (type) => { if (type === bridge || apply(startsWith, type, [bridge + '.'])) delete types[type]; });
    },
    make(id, type) {
      const known = types[type];
      const made = create(known === undefined ? unknown : known.prototype ??= prototypeOf(type, known.spec, known.aliases));
      apply(weakSet, refs, [made, { __proto__: null, id, type }]);
      label(made, '[' + type + ' ' + id + ']');
      return freeze(made);
    },
  };
})
