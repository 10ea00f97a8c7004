// lists: new lists and objects from given ones, which are never changed.
//
// lists.sortBy(list, key, { descending: false })   by a field's name or by what key(item) gives; equal items keep their order
// lists.groupBy(list, key)                         an object of lists
// lists.merge(...)                                 an object of all their fields; later ones win
// lists.deepCopy(v)       lists.equal(a, b)        by content, also where objects hold themselves
'use strict';
(function lists({ kindOf, isProxy, inspect, argument }) {
  const isObject = (value) => typeof value === 'object' && value !== null;
  const kind = (value) => (isProxy(value) ? 'Proxy' : kindOf(value));
  const keysOf = (list, key, label) => {
    if (!Array.isArray(list)) throw argument(label + ' takes a list, not ' + inspect(list));
    if (typeof key !== 'function' && typeof key !== 'string') throw argument(label + " takes a field's name or a function as its second argument");
    return list.map(typeof key === 'function' ? (item, index) => key(item, index) : (item) => item?.[key]);
  };
  const checkOrder = (keys) => {
    const first = typeof keys[0];
    keys.forEach((key, index) => {
      if (typeof key === first && (first === 'number' || first === 'string' || first === 'bigint') && key === key) return;
      throw argument('lists.sortBy: the item at ' + index + ' has the key ' + inspect(key) + '; all keys must be numbers, or all strings');
    });
  };
  const sortBy = (list, key, options) => {
    const keys = keysOf(list, key, 'lists.sortBy'), turn = options?.descending ? -1 : 1;
    checkOrder(keys);
    const places = keys.map((_, index) => index);
    places.sort((a, b) => (keys[a] < keys[b] ? -turn : keys[a] > keys[b] ? turn : a - b));
    return places.map((place) => list[place]);
  };
  const groupBy = (list, key) => {
    const groups = {};
    keysOf(list, key, 'lists.groupBy').forEach((name, index) => {
      if (name === undefined || name === null || name !== name) throw argument('lists.groupBy: the item at ' + index + ' has no key');
      const text = String(name);
      if (Object.hasOwn(groups, text)) groups[text].push(list[index]);
      else Object.defineProperty(groups, text, { value: [list[index]], writable: true, configurable: true, enumerable: true });
    });
    return groups;
  };
  const put = (object, name, value) => Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: true });
  const merge = (...objects) => {
    const out = {};
    for (const object of objects) {
      if (object === undefined || object === null) continue;
      if (!isObject(object)) throw argument('lists.merge takes objects, not ' + inspect(object));
      for (const name of Object.keys(object)) put(out, name, object[name]);
    }
    return out;
  };
  // what is neither data nor a container is the same thing in the copy
  const copy = (v, known) => {
    if (!isObject(v)) return v;
    if (known.has(v)) return known.get(v);
    const keep = (made) => { known.set(v, made); return made; };
    switch (kind(v)) {
      case 'array': {
        const made = keep([]);
        for (const item of v) made.push(copy(item, known));
        return made;
      }
      case 'plain': {
        const made = keep(Object.create(Object.getPrototypeOf(v)));
        for (const name of Object.keys(v)) put(made, name, copy(v[name], known));
        return made;
      }
      case 'Map': {
        const made = keep(new Map());
        for (const [key, value] of v) made.set(copy(key, known), copy(value, known));
        return made;
      }
      case 'Set': {
        const made = keep(new Set());
        for (const item of v) made.add(copy(item, known));
        return made;
      }
      case 'Date': return keep(new Date(v.getTime()));
      case 'view': return keep(v.slice());
      default: return v;
    }
  };
  const sameMembers = (a, b, seen) => {
    const names = Object.keys(a);
    return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name], seen));
  };
  const same = (a, b, seen) => {
    if (a === b) return true;
    if (!isObject(a) || !isObject(b) || kind(a) !== kind(b)) return false;
    if (seen.get(a)?.has(b)) return true;
    if (!seen.has(a)) seen.set(a, new Set());
    seen.get(a).add(b);
    switch (kind(a)) {
      case 'array': return a.length === b.length && a.every((item, index) => same(item, b[index], seen));
      case 'plain': return sameMembers(a, b, seen);
      case 'instance': return Object.getPrototypeOf(a) === Object.getPrototypeOf(b) && sameMembers(a, b, seen);
      case 'view': return a.constructor === b.constructor && a.length === b.length && a.every((item, index) => item === b[index]);
      case 'Date': return a.getTime() === b.getTime();
      case 'Map': return a.size === b.size && [...a].every(([key, value]) => b.has(key) && same(value, b.get(key), seen));
      case 'Set': return a.size === b.size && [...a].every((item) => b.has(item));
      default: return false;
    }
  };
  return {
    __proto__: null,
    lists: { deepCopy: (v) => copy(v, new Map()), equal: (a, b) => same(a, b, new Map()), groupBy, merge, sortBy },
  };
})
