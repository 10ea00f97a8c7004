// Globals that are made when a script first names one of them: most states need none, and each would cost every state its memory.
//
// Their text lies outside the state, in bytes that all states of the process share and that no script can reach.  It runs after the script
// could have changed what it builds on, so it gets the rights of a script: `gifts` holds nothing that a script may not have.
'use strict';
(function libraries({ late, values }, gifts) {
  const { apply, defineProperty } = Reflect;
  const { atob } = globalThis;
  const evaluate = eval; // called by another name it runs in the global scope
  const { toBase64 } = Uint8Array.prototype, U8 = Uint8Array;
  const textOf = (buffer) => atob(apply(toBase64, new U8(buffer), []));

  let loading = null;
  const make = (library) => {
    // a library may look whether the engine has such a thing of its own
    if (loading === library) return {};
    const outer = loading;
    loading = library;
    try {
      const made = library.made = evaluate(textOf(library.buffer))(gifts);
      for (let i = 0; i < library.names.length; i++) {
        const name = library.names[i], thing = made[name];
        if (typeof thing !== 'function') continue;
        // minified classes have lost their names
        defineProperty(thing, 'name', { __proto__: null, value: name });
        if (typeof thing.prototype === 'object' && thing.prototype !== null) values.learnNew(thing.prototype, name);
      }
      return made;
    } finally { loading = outer; }
  };
  const read = ({ library, name }) => (library.made ?? make(library))[name];
  const offer = (names, buffer) => {
    const library = { __proto__: null, names, buffer, made: null };
    for (const name of names) late({ __proto__: null, name, make: read, library });
  };
  // a stop runs no `finally`
  return { __proto__: null, offer, clear() { loading = null; } };
})
