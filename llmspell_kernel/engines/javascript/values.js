// The written form of values (see values.py), both ways.  An expression: called once by prelude.js, before any script runs.
//
// Rules: everything used here is captured before the script can change it; own data lives in null-prototype objects; arrays are made only as
// literals (a setter on Array.prototype would see an assignment to a new index).  Getters and Proxy traps of the script do run while its
// value is read: the interrupt handler and the size limit bound them.
(function values(maxChars, maxItems, isProxy) {
  'use strict';
  const { apply, getPrototypeOf, getOwnPropertyDescriptor, defineProperty } = Reflect;
  const { stringify, parse } = JSON;
  const { isArray } = Array;
  const { keys: keysOf, hasOwn: owns } = Object;
  const objectPrototype = Object.prototype;
  const U8 = Uint8Array, Big = BigInt, TypeErr = TypeError;
  const mapGet = Map.prototype.get, mapSet = Map.prototype.set, mapForEach = Map.prototype.forEach, setForEach = Set.prototype.forEach;
  const weakGet = WeakMap.prototype.get, weakSet = WeakMap.prototype.set;
  const isWellFormed = String.prototype.isWellFormed, charCodeAt = String.prototype.charCodeAt, slice = String.prototype.slice;
  const getTime = Date.prototype.getTime, toISOString = Date.prototype.toISOString;
  const typedArray = getPrototypeOf(U8.prototype);
  const getter = (of, name) => getOwnPropertyDescriptor(of, name).get;
  const viewBuffer = getter(typedArray, 'buffer'), viewOffset = getter(typedArray, 'byteOffset'), viewLength = getter(typedArray, 'byteLength');
  const dataBuffer = getter(DataView.prototype, 'buffer'), dataOffset = getter(DataView.prototype, 'byteOffset');
  const dataLength = getter(DataView.prototype, 'byteLength');
  const toBase64 = U8.prototype.toBase64, fromBase64 = U8.fromBase64;
  const { trunc, abs } = Math;
  const MAX_DEPTH = 64;
  const MIN_INT = -(2n ** 63n), MAX_INT = 2n ** 63n - 1n;

  // What a thing is, by the first known prototype in its chain: brand checks by try/catch would cost an Error for each object.
  const kinds = new Map();
  const learn = (prototype, kind) => apply(mapSet, kinds, [prototype, kind]);
  // for the classes of a library that runs as a script: never a second meaning for what is known
  const learnNew = (prototype, kind) => { if (apply(mapGet, kinds, [prototype]) === undefined) learn(prototype, kind); };
  const generator = getPrototypeOf(function* () {}).prototype;
  const asyncGenerator = getPrototypeOf(async function* () {}).prototype;
  learn(objectPrototype, 'instance');
  learn(Date.prototype, 'Date'), learn(Map.prototype, 'Map'), learn(Set.prototype, 'Set'), learn(WeakMap.prototype, 'WeakMap');
  learn(WeakSet.prototype, 'WeakSet'), learn(RegExp.prototype, 'RegExp');
  learn(Promise.prototype, 'Promise'), learn(Error.prototype, 'Error'), learn(generator, 'Generator');
  learn(asyncGenerator, 'AsyncGenerator'), learn(Iterator.prototype, 'Iterator'), learn(typedArray, 'view');
  learn(DataView.prototype, 'DataView'), learn(ArrayBuffer.prototype, 'ArrayBuffer'), learn(Number.prototype, 'Number');
  learn(String.prototype, 'String'), learn(Boolean.prototype, 'Boolean'), learn(Symbol.prototype, 'Symbol');

  const kindOf = (value) => {
    if (isArray(value)) return 'array';
    let prototype = getPrototypeOf(value);
    if (prototype === objectPrototype || prototype === null) return 'plain';
    for (let steps = 0; prototype !== null && steps < 100; steps++) {
      const kind = apply(mapGet, kinds, [prototype]);
      if (kind !== undefined) return kind;
      if (isProxy(prototype)) return 'instance';
      prototype = getPrototypeOf(prototype);
    }
    return 'instance';
  };

  // -- errors that name the path --------------------------------------------------------------------------------------------------------
  const origins = new WeakMap();
  // `effect` is the id of the effect that failed, 0 for none
  const remember = (error, code, retryable, effect = 0) => apply(weakSet, origins, [error, { __proto__: null, code, retryable, effect }]);
  const exceptionName = getOwnPropertyDescriptor(DOMException.prototype, 'name').get;
  const isException = (value) => {
    if (getPrototypeOf(value) === null) return false;
    try { apply(exceptionName, value, []); return true; } catch (_) { return false; }
  };
  const originOf = (error) => apply(weakGet, origins, [error]);

  const isName = (key) => {
    if (key.length === 0 || key.length > 80) return false;
    for (let i = 0; i < key.length; i++) {
      const c = apply(charCodeAt, key, [i]);
      const letter = (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 95 || c === 36;
      if (!letter && !(i > 0 && c >= 48 && c <= 57)) return false;
    }
    return true;
  };
  const segment = (key) => (typeof key === 'number' ? '[' + key + ']' : isName(key) ? '.' + key : '[' + stringify(key) + ']');
  const pathOf = (key, up, job) => {
    let path = '';
    for (; up !== null; key = up.key, up = up.up) path = segment(key) + path;
    path = (typeof key === 'number' ? job.root + '[' + key + ']' : job.root) + path;
    return path.length > 200 ? apply(slice, path, [0, 200]) + '...' : path;
  };
  const refuse = (message, key, up, job) => {
    const error = new TypeErr(message + ' (at ' + pathOf(key, up, job) + ')');
    defineProperty(error, 'code', { __proto__: null, value: 'value', enumerable: true, writable: true, configurable: true });
    remember(error, 'value', false);
    throw error;
  };

  // -- to text --------------------------------------------------------------------------------------------------------------------------
  // job: root names the whole in paths; show = a result that may hold what can only be shown; quiet = run no code of the script.
  const newJob = (root, show, quiet) => ({ __proto__: null, root, show, quiet, size: 0, items: 0 });
  const counted = (text, key, up, job) => {
    if ((job.size += text.length) > maxChars) {
      refuse('the value is larger than limits.value_bytes, ' + maxChars + ' bytes', key, up, job);
    }
    return text;
  };
  // A list that is in many places is written in each: `d = [d, d]`, thirty times, would be a thousand million.
  const countItems = (count, key, up, job) => {
    if ((job.items += count) > maxItems) refuse('a value of more than ' + maxItems + ' items; pass large data as one string or in parts', key, up, job);
  };
  const tag = (name, content) => '{"$":["' + name + '",' + content + ']}';

  const writeNumber = (v) => {
    if (v !== v) return '{"$":["n","nan"]}';
    if (v === Infinity) return '{"$":["n","inf"]}';
    if (v === -Infinity) return '{"$":["n","-inf"]}';
    if (v === 0) return 1 / v < 0 ? '-0.0' : '0';
    // beyond 2**53 the shortest decimal is not the exact integer
    if (abs(v) > 9007199254740991 && v >= -9223372036854775808 && v < 9223372036854775808 && v === trunc(v)) return '' + Big(v);
    return '' + v;
  };
  const writeString = (v, key, up, job) => {
    if (v.length > maxChars) counted(v, key, up, job);
    if (!apply(isWellFormed, v, [])) refuse('the string holds a lone surrogate, which is not valid Unicode', key, up, job);
    return counted(stringify(v), key, up, job);
  };
  const shownOr = (v, message, key, up, job) => {
    if (job.show === null) refuse(message, key, up, job);
    return counted(tag('x', stringify(job.show(v))), key, up, job);
  };
  const writeBig = (v, key, up, job) => {
    if (v < MIN_INT || v > MAX_INT) return shownOr(v, 'the BigInt does not fit in 64 bits; pass it as a string', key, up, job);
    return counted('' + v, key, up, job);
  };
  const writeBytes = (buffer, offset, length, key, up, job) => {
    const bytes = length === undefined ? new U8(buffer) : new U8(buffer, offset, length);
    const size = apply(viewLength, bytes, []);
    if (size > maxChars) refuse('the value is larger than limits.value_bytes, ' + maxChars + ' bytes', key, up, job);
    return counted(tag('b', '"' + apply(toBase64, bytes, []) + '"'), key, up, job);
  };

  let functionId = null, resourceOf = null;

  const write = (v, key, up, job) => {
    switch (typeof v) {
      case 'string': return writeString(v, key, up, job);
      case 'number': return counted(writeNumber(v), key, up, job);
      case 'boolean': return counted(v ? 'true' : 'false', key, up, job);
      case 'undefined': return counted('null', key, up, job);
      case 'bigint': return writeBig(v, key, up, job);
      case 'object': return v === null ? counted('null', key, up, job) : writeObject(v, key, up, job);
      case 'function':
        if (job.show === null && !job.quiet) return counted(tag('f', '' + functionId(v)), key, up, job);
        return shownOr(v, 'a function cannot be taken out of the script', key, up, job);
      default: return shownOr(v, 'a symbol cannot cross; pass its description', key, up, job);
    }
  };

  const checkRoom = (v, key, up, job) => {
    for (let at = up; at !== null; at = at.up) if (at.value === v) refuse('the value contains itself', key, up, job);
    if (up !== null && up.depth >= MAX_DEPTH) refuse('nested deeper than ' + MAX_DEPTH + ' levels', key, up, job);
  };

  const writeObject = (v, key, up, job) => {
    if (job.quiet && isProxy(v)) refuse('a Proxy cannot be taken without running the script', key, up, job);
    const kind = kindOf(v);
    switch (kind) {
      case 'plain': return writeMembers(v, false, key, up, job);
      case 'array': return writeArray(v, key, up, job);
      case 'instance': return writeMembers(v, true, key, up, job);
      case 'resource': {
        const ref = resourceOf(v);
        if (ref === undefined) return shownOr(v, 'a copy of a resource cannot cross; pass the resource itself', key, up, job);
        // the host keeps it for this state alone: as a cell's result it can only be shown
        if (job.show !== null) return shownOr(v, '', key, up, job);
        return counted(tag('r', ref.id + ',' + stringify(ref.type)), key, up, job);
      }
      case 'bridge': return shownOr(v, 'a bridge cannot cross', key, up, job);
      case 'Date': {
        if (apply(getTime, v, []) !== apply(getTime, v, [])) return shownOr(v, 'an invalid Date cannot cross', key, up, job);
        return counted('"' + apply(toISOString, v, []) + '"', key, up, job);
      }
      case 'view':
        return writeBytes(apply(viewBuffer, v, []), apply(viewOffset, v, []), apply(viewLength, v, []), key, up, job);
      case 'DataView':
        return writeBytes(apply(dataBuffer, v, []), apply(dataOffset, v, []), apply(dataLength, v, []), key, up, job);
      case 'ArrayBuffer': return writeBytes(v, 0, undefined, key, up, job);
      case 'Error': return shownOr(v, 'an Error cannot cross; pass its message', key, up, job);
      case 'Map': return job.show === null ? refuse('a Map cannot cross; pass Object.fromEntries(map)', key, up, job) : writeMap(v, key, up, job);
      case 'Set': return job.show === null ? refuse('a Set cannot cross; pass [...set]', key, up, job) : writeSet(v, key, up, job);
      case 'Promise': return shownOr(v, 'a Promise cannot cross; did you forget "await"?', key, up, job);
      case 'Number': case 'String': case 'Boolean':
        return shownOr(v, 'a ' + kind + ' object cannot cross; pass the plain value, made without "new"', key, up, job);
      case 'URL': case 'URLSearchParams': return shownOr(v, 'a ' + kind + ' cannot cross; pass String(it)', key, up, job);
      default: return shownOr(v, (kind[0] === 'A' ? 'an ' : 'a ') + kind + ' cannot cross', key, up, job);
    }
  };

  const writeArray = (v, key, up, job) => {
    checkRoom(v, key, up, job);
    const node = { __proto__: null, up, key, value: v, depth: up === null ? 1 : up.depth + 1 };
    countItems(v.length, key, up, job);
    let text = '[';
    for (let i = 0; i < v.length; i++) text += (i === 0 ? '' : counted(',', key, up, job)) + write(job.quiet ? own(v, i, node, job) : v[i], i, node, job);
    return text + ']';
  };
  // a member's value without running a getter
  const own = (v, key, node, job) => {
    const descriptor = getOwnPropertyDescriptor(v, key);
    if (descriptor === undefined) return undefined;
    if (!owns(descriptor, 'value')) refuse('a getter cannot be taken without running the script', key, node, job);
    return descriptor.value;
  };
  const writeMembers = (v, isInstance, key, up, job) => {
    checkRoom(v, key, up, job);
    const names = keysOf(v);
    countItems(names.length, key, up, job);
    if (isInstance && names.length === 0 && job.show !== null) return shownOr(v, '', key, up, job);
    const node = { __proto__: null, up, key, value: v, depth: up === null ? 1 : up.depth + 1 };
    let text = '', escaped = false;
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      const item = job.quiet ? own(v, name, node, job) : v[name];
      if (item === undefined) continue;
      if (name === '$') escaped = true;
      text += (text === '' ? '' : ',') + writeString(name, name, node, job) + ':' + write(item, name, node, job);
      job.size += 2;
    }
    return escaped ? tag('o', '{' + text + '}') : '{' + text + '}';
  };
  const writeMap = (v, key, up, job) => {
    checkRoom(v, key, up, job);
    const node = { __proto__: null, up, key, value: v, depth: up === null ? 1 : up.depth + 1 };
    let named = true;
    apply(mapForEach, v, [(_, k) => { if (typeof k !== 'string') named = false; }]);
    let text = '', escaped = false, index = 0;
    apply(mapForEach, v, [(item, k) => {
      countItems(1, key, up, job);
      if (named && k === '$') escaped = true;
      const value = named ? writeString(k, key, up, job) + ':' + write(item, k, node, job) : write([k, item], index++, node, job);
      text += (text === '' ? '' : ',') + value;
    }]);
    if (!named) return '[' + text + ']';
    return escaped ? tag('o', '{' + text + '}') : '{' + text + '}';
  };
  const writeSet = (v, key, up, job) => {
    checkRoom(v, key, up, job);
    const node = { __proto__: null, up, key, value: v, depth: up === null ? 1 : up.depth + 1 };
    let text = '', index = 0;
    apply(setForEach, v, [(item) => { countItems(1, key, up, job); text += (text === '' ? '' : ',') + write(item, index++, node, job); }]);
    return '[' + text + ']';
  };

  // Characters beyond ASCII take up to three bytes for one unit: only then does the exact count matter.
  const fit = (text, job) => {
    if (text.length * 3 <= maxChars) return text;
    let bytes = 0;
    for (let i = 0; i < text.length; i++) {
      const c = apply(charCodeAt, text, [i]);
      bytes += c < 0x80 ? 1 : c < 0x800 || (c & 0xf800) === 0xd800 ? 2 : 3;
    }
    if (bytes > maxChars) refuse('the value is larger than limits.value_bytes, ' + maxChars + ' bytes', '', null, job);
    return text;
  };

  // -- from text ------------------------------------------------------------------------------------------------------------------------
  let resourceFor = null, functionOf = null;
  const reviveMembers = (wire) => {
    const names = keysOf(wire);
    for (let i = 0; i < names.length; i++) wire[names[i]] = revive(wire[names[i]]);
    return wire;
  };
  const revive = (wire) => {
    if (typeof wire !== 'object' || wire === null) return wire;
    if (isArray(wire)) {
      for (let i = 0; i < wire.length; i++) wire[i] = revive(wire[i]);
      return wire;
    }
    return owns(wire, '$') ? untag(wire.$) : reviveMembers(wire);
  };
  const untag = (parts) => {
    switch (parts[0]) {
      case 'i': return Big(parts[1]);
      case 'b': return apply(fromBase64, U8, [parts[1]]);
      case 'n': return parts[1] === 'nan' ? NaN : parts[1] === 'inf' ? Infinity : -Infinity;
      case 'r': return resourceFor(parts[1], parts[2]);
      case 'f': return functionOf(parts[1]);
      case 'o': return reviveMembers(parts[1]);
      case 'x': return parts[1];
      case 'e': return {};
      default: throw new TypeErr('the host sent a value with the unknown tag ' + stringify(parts[0]));
    }
  };

  return {
    __proto__: null, kindOf, learn, learnNew, remember, originOf, isException, parse, revive,
    connect(hooks) { ({ functionId, functionOf, resourceOf, resourceFor } = hooks); },
    argumentsText(values) {
      let count = values.length;
      while (count > 0 && values[count - 1] === undefined) count--;
      const job = newJob('args', null, false);
      let text = '[';
      for (let i = 0; i < count; i++) text += (i === 0 ? '' : ',') + write(values[i], i, null, job);
      return fit(text + ']', job);
    },
    valueText(value, root) { const job = newJob(root, null, false); return fit(write(value, '', null, job), job); },
    shownText(value, show) { const job = newJob('result', show, false); return fit(write(value, '', null, job), job); },
    quietText(value, root) { const job = newJob(root, null, true); return fit(write(value, '', null, job), job); },
  };
})
