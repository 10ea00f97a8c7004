// Lists and objects that came as JSON: read by index and by own key, made by definition, so that a script's prototypes have no part in it.
'use strict';
(function lists({ shown }) {
  const { apply, defineProperty } = Reflect;
  const hasOwn = Object.prototype.hasOwnProperty;
  return {
    __proto__: null,
    each(list, action) {
      const made = [];
      for (let i = 0; i < list.length; i++) defineProperty(made, i, shown(action(list[i])));
      return made;
    },
    has(list, item) {
      for (let i = 0; i < list.length; i++) if (list[i] === item) return true;
      return false;
    },
    member: (object, name, fallback) => (apply(hasOwn, object, [name]) ? object[name] : fallback),
  };
})
