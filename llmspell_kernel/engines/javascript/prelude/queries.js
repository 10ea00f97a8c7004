// Questions of the host about a script's globals.  They run nothing of the script.
'use strict';
(function queries({ clip, isProxy, isOurs, hidden, shown, values, lookUp, hint }, bridges) {
  const { apply, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
  const { stringify } = JSON;
  const { isArray } = Array;
  const { create } = Object;
  const { split, toWellFormed } = String.prototype;
  const hasOwn = Object.prototype.hasOwnProperty, Obj = Object, TypeErr = TypeError, ReferenceErr = ReferenceError;
  // a longer name is none that anybody completes
  const MAX_STEPS = 20, MAX_MEMBERS = 5000, MAX_NAME = 200, MAX_TEXT = 256 * 1024;

  const typeOf = (key, descriptor) => (!apply(hasOwn, descriptor, ['value']) ? bridges.unread(key, descriptor) ? 'object' : 'property' : isArray(descriptor.value) ? 'array' : typeof descriptor.value);
  const valueAt = (path) => {
    let value = globalThis;
    const parts = path === '' ? [] : apply(split, path, ['.']);
    for (let i = 0; i < parts.length; i++) {
      if (value === null || value === undefined) return undefined;
      const bridge = i === 0 ? bridges.waiting(parts[0], getOwnPropertyDescriptor(globalThis, parts[0])) : undefined;
      value = bridge ?? lookUp(Obj(value), parts[i]);
    }
    return value;
  };
  const members = (path) => {
    const value = valueAt(path);
    if (value === null || value === undefined) return '[]';
    let text = '', count = 0;
    const seen = create(null);
    for (let at = Obj(value), steps = 0; at !== null && steps < MAX_STEPS && !isProxy(at); at = getPrototypeOf(at), steps++) {
      if (at === Obj.prototype && steps > 0) break;
      const keys = ownKeys(at);
      for (let i = 0; i < keys.length && count < MAX_MEMBERS && text.length < MAX_TEXT; i++) {
        const key = keys[i];
        if (typeof key !== 'string' || key.length > MAX_NAME || key in seen || (key[0] >= '0' && key[0] <= '9')) continue;
        seen[key] = true;
        text += (count++ === 0 ? '' : ',') + '[' + stringify(apply(toWellFormed, key, [])) + ',"' + typeOf(path === '' ? key : '', getOwnPropertyDescriptor(at, key)) + '"]';
      }
      if (path === '') break;
    }
    return '[' + text + ']';
  };
  const get = (name) => {
    const descriptor = getOwnPropertyDescriptor(globalThis, name);
    if (descriptor === undefined) {
      const known = [], keys = ownKeys(globalThis);
      for (let i = 0, at = 0; i < keys.length; i++) {
        if (typeof keys[i] === 'string' && !isOurs(keys[i])) defineProperty(known, at++, hidden(keys[i]));
      }
      throw new ReferenceErr("there is no global '" + clip(name, 60) + "'" + hint(name, known));
    }
    if (!apply(hasOwn, descriptor, ['value'])) throw new TypeErr("the global '" + clip(name, 60) + "' is a getter");
    return values.quietText(descriptor.value, name);
  };
  const set = (name, text) => {
    const value = values.revive(values.parse(text));
    const old = getOwnPropertyDescriptor(globalThis, name);
    if (old !== undefined && !old.configurable && !old.writable) throw new TypeErr("the global '" + clip(name, 60) + "' cannot be set");
    defineProperty(globalThis, name, old === undefined || old.configurable ? shown(value) : { __proto__: null, value });
    return 'null';
  };
  return { __proto__: null, valueAt, members, get, set };
})
