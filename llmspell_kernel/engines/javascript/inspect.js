// Values as people read them, for console.log and for results that can only be shown.  An expression, called once by prelude.js.
//
// Rules: as in values.js, and stricter: no getter and no Proxy trap of the script runs, so showing a value changes nothing.
(function inspect(kindOf, isProxy, labelOf) {
  'use strict';
  const { apply, getPrototypeOf, getOwnPropertyDescriptor, ownKeys } = Reflect;
  const { stringify } = JSON;
  const { isArray } = Array;
  const propertyIsEnumerable = Object.prototype.propertyIsEnumerable;
  const hasOwn = Object.prototype.hasOwnProperty;
  const sliceText = String.prototype.slice, indexOf = String.prototype.indexOf;
  const toWellFormed = String.prototype.toWellFormed, repeat = String.prototype.repeat, charCodeAt = String.prototype.charCodeAt;
  const symbolText = Symbol.prototype.toString, functionText = Function.prototype.toString;
  const mapForEach = Map.prototype.forEach, setForEach = Set.prototype.forEach;
  const getter = (of, name) => getOwnPropertyDescriptor(of, name).get;
  const mapSize = getter(Map.prototype, 'size'), setSize = getter(Set.prototype, 'size');
  const typedArray = getPrototypeOf(Uint8Array.prototype);
  const viewCount = getter(typedArray, 'length'), bufferLength = getter(ArrayBuffer.prototype, 'byteLength');
  const getTime = Date.prototype.getTime, toISOString = Date.prototype.toISOString;
  const regexpSource = getter(RegExp.prototype, 'source'), isGlobal = getter(RegExp.prototype, 'global');
  const isIgnoreCase = getter(RegExp.prototype, 'ignoreCase'), isMultiline = getter(RegExp.prototype, 'multiline');
  const isUnicode = getter(RegExp.prototype, 'unicode'), isSticky = getter(RegExp.prototype, 'sticky');
  const exceptionName = getter(DOMException.prototype, 'name'), exceptionMessage = getter(DOMException.prototype, 'message');
  const MAX_DEPTH = 4, DEEPEST = 64, MAX_ITEMS = 100, LINE = 72, MAX_NODES = 10000;

  // not replaceAll: it asks String.prototype for Symbol.replace, which is the script's to set
  const swap = (s, old, by) => {
    let text = '', from = 0, at;
    while ((at = apply(indexOf, s, [old, from])) >= 0) {
      text += apply(sliceText, s, [from, at]) + by;
      from = at + old.length;
    }
    return text + apply(sliceText, s, [from]);
  };
  const quote = (s) => {
    const body = apply(sliceText, stringify(apply(toWellFormed, s, [])), [1, -1]);
    return "'" + swap(swap(body, '\\"', '"'), "'", "\\'") + "'";
  };
  const isName = (key) => {
    for (let i = 0; i < key.length; i++) {
      const c = apply(charCodeAt, key, [i]);
      const letter = (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 95 || c === 36;
      if (!letter && !(i > 0 && c >= 48 && c <= 57)) return false;
    }
    return key.length > 0;
  };
  const keyText = (key) => (typeof key === 'symbol' ? '[' + apply(symbolText, key, []) + ']' : isName(key) ? key : quote(key));

  // A data property along the prototype chain, without getters; the chain ends at a Proxy.
  const lookUp = (value, key) => {
    for (let at = value, steps = 0; at !== null && steps < 100 && !isProxy(at); at = getPrototypeOf(at), steps++) {
      const descriptor = getOwnPropertyDescriptor(at, key);
      if (descriptor !== undefined) return descriptor.value;
    }
    return undefined;
  };
  const nameOf = (value) => {
    const maker = lookUp(value, 'constructor');
    if (typeof maker !== 'function' || isProxy(maker)) return '';
    const name = getOwnPropertyDescriptor(maker, 'name');
    return name !== undefined && typeof name.value === 'string' ? name.value : '';
  };
  const functionShown = (value) => {
    const name = getOwnPropertyDescriptor(value, 'name');
    const text = name !== undefined && typeof name.value === 'string' ? name.value : '';
    const isClass = apply(sliceText, apply(functionText, value, []), [0, 5]) === 'class';
    if (isClass) return '[class ' + (text || '(anonymous)') + ']';
    return text === '' ? '[Function (anonymous)]' : '[Function: ' + text + ']';
  };
  const regexpShown = (v) => {
    const flag = (letter, test) => (apply(test, v, []) ? letter : '');
    const flags = flag('g', isGlobal) + flag('i', isIgnoreCase) + flag('m', isMultiline) + flag('u', isUnicode) + flag('y', isSticky);
    return '/' + apply(regexpSource, v, []) + '/' + flags;
  };
  const errorShown = (value) => {
    let name = lookUp(value, 'name'), message = lookUp(value, 'message');
    // those of a DOMException are getters, and only the engine's own are run
    if (name === undefined) try { name = apply(exceptionName, value, []), message = apply(exceptionMessage, value, []); } catch (_) { /* none */ }
    const left = typeof name === 'string' && name !== '' ? name : 'Error';
    return typeof message === 'string' && message !== '' ? left + ': ' + message : left;
  };

  // Parts are kept in a linked list: a script's setter on Array.prototype must not see them.
  const newList = () => ({ __proto__: null, first: null, last: null, count: 0, width: 0, tall: false });
  const add = (list, text) => {
    const item = { __proto__: null, text, next: null };
    if (list.last === null) list.first = item; else list.last.next = item;
    list.last = item;
    list.count++;
    list.width += text.length + 2;
    if (apply(indexOf, text, ['\n']) >= 0) list.tall = true;
  };
  const joined = (open, list, close, indent) => {
    if (list.count === 0) return open + close;
    const wide = list.tall || list.width + open.length + indent > LINE;
    const pad = wide ? '\n' + apply(repeat, ' ', [indent + 2]) : ' ';
    let text = open;
    for (let item = list.first; item !== null; item = item.next) text += pad + item.text + (item.next === null ? '' : ',');
    return text + (wide ? '\n' + apply(repeat, ' ', [indent]) : ' ') + close;
  };

  const show = (v, depth, indent, up, job) => {
    switch (typeof v) {
      case 'string': return quote(v);
      case 'bigint': return v + 'n';
      case 'number': return v === 0 && 1 / v < 0 ? '-0' : '' + v;
      case 'symbol': return apply(symbolText, v, []);
      case 'function': return isProxy(v) ? '[Proxy]' : functionShown(v);
      case 'object': return v === null ? 'null' : showObject(v, depth, indent, up, job);
      default: return '' + v;
    }
  };
  const showObject = (v, depth, indent, up, job) => {
    if (isProxy(v)) return '[Proxy]';
    const label = labelOf(v);
    if (label !== '') return label;
    for (let at = up; at !== null; at = at.up) if (at.value === v) return '[Circular]';
    const kind = kindOf(v), name = nameOf(v);
    if (kind === 'Error') return errorShown(v);
    if (kind === 'Date') return apply(getTime, v, []) === apply(getTime, v, []) ? apply(toISOString, v, []) : 'Invalid Date';
    if (kind === 'RegExp') return regexpShown(v);
    if (depth > job.depth || ++job.nodes > MAX_NODES) return kind === 'array' ? '[Array]' : '[' + (name || 'Object') + ']';
    const node = { __proto__: null, value: v, up };
    const inner = (item) => show(item, depth + 1, indent + 2, node, job);
    const list = newList();
    switch (kind) {
      case 'array': return showArray(v, v.length, name === 'Array' ? '[' : name + '(' + v.length + ') [', list, inner, indent);
      case 'view': {
        const count = apply(viewCount, v, []);
        return showArray(v, count, name + '(' + count + ') [', list, inner, indent);
      }
      case 'ArrayBuffer': return 'ArrayBuffer { byteLength: ' + apply(bufferLength, v, []) + ' }';
      case 'Map': {
        const size = apply(mapSize, v, []);
        apply(mapForEach, v, [(item, key) => { if (list.count < MAX_ITEMS) add(list, inner(key) + ' => ' + inner(item)); }]);
        return joined('Map(' + size + ') {', more(list, size), '}', indent);
      }
      case 'Set': {
        const size = apply(setSize, v, []);
        apply(setForEach, v, [(item) => { if (list.count < MAX_ITEMS) add(list, inner(item)); }]);
        return joined('Set(' + size + ') {', more(list, size), '}', indent);
      }
      case 'Generator': case 'AsyncGenerator': return 'Object [' + kind + '] {}';
      case 'plain': return showMembers(v, getPrototypeOf(v) === null ? '[Object: null prototype] {' : '{', list, inner, indent, job);
      default: return showMembers(v, (name || kind) + ' {', list, inner, indent, job);
    }
  };
  const more = (list, size) => {
    if (size > list.count) add(list, '... ' + (size - list.count) + ' more items');
    return list;
  };
  const showArray = (v, size, open, list, inner, indent) => {
    for (let i = 0; i < size && i < MAX_ITEMS; i++) {
      const descriptor = getOwnPropertyDescriptor(v, i);
      add(list, descriptor === undefined ? '<empty>' : memberText(descriptor, inner));
    }
    return joined(open, more(list, size), ']', indent);
  };
  const memberText = (descriptor, inner) => (apply(hasOwn, descriptor, ['value']) ? inner(descriptor.value) : descriptor.get === undefined ? '[Setter]' : '[Getter]');
  const showMembers = (v, open, list, inner, indent, job) => {
    const keys = ownKeys(v);
    for (let i = 0; i < keys.length; i++) {
      if (!apply(propertyIsEnumerable, v, [keys[i]])) continue;
      if (++job.nodes > MAX_NODES) { add(list, '...'); break; }
      add(list, keyText(keys[i]) + ': ' + memberText(getOwnPropertyDescriptor(v, keys[i]), inner));
    }
    return joined(open, list, '}', indent);
  };

  const inspect = (v, levels) => {
    const depth = typeof levels === 'number' && levels >= 0 ? (levels < DEEPEST ? levels : DEEPEST) : MAX_DEPTH;
    return apply(toWellFormed, show(v, 0, 0, null, { __proto__: null, nodes: 0, depth }), []);
  };
  const plain = (v) => (typeof v === 'string' ? apply(toWellFormed, v, []) : inspect(v));

  // console.log('%s is %d', ...), as in Node.
  const { trunc } = Math;
  const directive = (letter, v) => {
    switch (letter) {
      case 's': return plain(v);
      case 'd': return typeof v === 'number' ? '' + v : typeof v === 'bigint' ? v + 'n' : typeof v === 'string' ? '' + +v : 'NaN';
      case 'i': return typeof v === 'number' ? '' + trunc(v) : typeof v === 'string' ? '' + trunc(+v) : 'NaN';
      case 'f': return typeof v === 'number' || typeof v === 'string' ? '' + +v : 'NaN';
      case 'j': case 'o': case 'O': return inspect(v);
      case 'c': return '';
      default: return undefined;
    }
  };
  const format = (values) => {
    let text = '', used = 0;
    if (values.length > 1 && typeof values[0] === 'string' && apply(indexOf, values[0], ['%']) >= 0) {
      const pattern = values[0];
      used = 1;
      let from = 0, at;
      while ((at = apply(indexOf, pattern, ['%', from])) >= 0 && at + 1 < pattern.length) {
        const letter = pattern[at + 1];
        text += apply(sliceText, pattern, [from, at]);
        from = at + 2;
        const part = letter === '%' ? '%' : used < values.length ? directive(letter, values[used]) : undefined;
        if (part === undefined) { text += '%' + letter; continue; }
        text += part;
        if (letter !== '%') used++;
      }
      text = apply(toWellFormed, text + apply(sliceText, pattern, [from]), []);
      if (used < values.length) text += ' ';
    }
    for (let i = used; i < values.length; i++) text += (i === used ? '' : ' ') + plain(values[i]);
    return text;
  };

  return { __proto__: null, inspect, format, lookUp };
})
