// Lists and objects that came as JSON: read by index and by own key, made by definition, so that a script's prototypes have no part in it.
'use strict';
(function lists({ shown }) {
  const { apply, defineProperty } = Reflect;
  const hasOwn = Object.prototype.hasOwnProperty, { indexOf, slice } = String.prototype;
  return {
    __proto__: null,
    each(list, action) {
      const made = [];
      for (let i = 0; i < list.length; i++) defineProperty(made, i, shown(action(list[i])));
      return made;
    },
    // the words of a text with one blank between two of them
    words(text) {
      const found = [];
      for (let from = 0, count = 0, end; from < text.length; from = end + 1) {
        end = apply(indexOf, text, [' ', from]);
        if (end < 0) end = text.length;
        defineProperty(found, count++, shown(apply(slice, text, [from, end])));
      }
      return found;
    },
    has(list, item) {
      for (let i = 0; i < list.length; i++) if (list[i] === item) return true;
      return false;
    },
    member: (object, name, fallback) => (apply(hasOwn, object, [name]) ? object[name] : fallback),
  };
})
