// Bridges and resources by name: methods in camelCase and other spellings, and a wrong name answered with the nearest right ones.
'use strict';
(function names({ clip, newProxy, each, hint }) {
  const { apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
  const { create, freeze, keys: keysOf } = Object;
  const hasOwn = Object.prototype.hasOwnProperty;
  const TypeErr = TypeError, { startsWith, toUpperCase } = String.prototype;

  const camel = (name) => {
    let text = '';
    for (let i = 0; i < name.length; i++) {
      text += name[i] === '_' && i > 0 && i + 1 < name.length ? apply(toUpperCase, name[++i], []) : name[i];
    }
    return text;
  };
  // A property that is read of anything (by await, String(), JSON.stringify and inspectors) must not be an error.
  const quiet = { __proto__: null, then: 1, toJSON: 1, constructor: 1, toString: 1, valueOf: 1, inspect: 1, length: 1, name: 1, prototype: 1, nodeType: 1, asymmetricMatch: 1 };
  const nothing = freeze(create(null)); // what every such Proxy stands before; its handler no script can reach
  // The prototype of every bridge and resource: an unknown name is an error at once.
  const missing = (what, known) => newProxy(nothing, {
    __proto__: null,
    get(_, name) {
      if (typeof name !== 'string' || name in quiet || apply(startsWith, name, ['__'])) return undefined;
      throw new TypeErr(what + " has no method '" + clip(name, 60) + "'" + hint(name, known));
    },
  });
  // an alias is the same function under another name
  const addAliases = (object, aliases) => {
    each(keysOf(aliases), (alias) => {
      const found = getOwnPropertyDescriptor(object, camel(aliases[alias]));
      if (found === undefined || apply(hasOwn, object, [camel(alias)])) return;
      defineProperty(object, camel(alias), { __proto__: null, enumerable: false, value: found.value });
    });
  };
  return { __proto__: null, camel, missing, addAliases };
})
