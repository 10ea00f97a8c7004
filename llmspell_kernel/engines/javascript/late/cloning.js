// structuredClone: a copy of data, with its cycles and shared parts.
'use strict';
(function cloning({ kindOf, isException, isProxy, inspect, shown }) {
  const { apply, construct, getPrototypeOf, getOwnPropertyDescriptor, defineProperty } = Reflect;
  const { keys: keysOf } = Object;
  const { isArray } = Array;
  const Exception = DOMException, D = Date, R = RegExp, M = Map, S = Set, U8 = Uint8Array, View = DataView, Obj = Object, TypeErr = TypeError;
  const getter = (of, name) => getOwnPropertyDescriptor(of, name).get;
  const typedArray = getPrototypeOf(U8.prototype);
  const tagOf = getter(typedArray, Symbol.toStringTag), viewBuffer = getter(typedArray, 'buffer');
  const viewOffset = getter(typedArray, 'byteOffset'), viewLength = getter(typedArray, 'length');
  const dataBuffer = getter(View.prototype, 'buffer'), dataOffset = getter(View.prototype, 'byteOffset'), dataLength = getter(View.prototype, 'byteLength');
  const sliceBuffer = ArrayBuffer.prototype.slice, transfer = ArrayBuffer.prototype.transfer, bufferLength = getter(ArrayBuffer.prototype, 'byteLength');
  const mapGet = M.prototype.get, mapSet = M.prototype.set, mapForEach = M.prototype.forEach;
  const setAdd = S.prototype.add, setForEach = S.prototype.forEach;
  const getTime = D.prototype.getTime, sourceOf = getter(R.prototype, 'source'), flagsOf = getter(R.prototype, 'flags');
  const primitives = { __proto__: null, Number: Number.prototype.valueOf, String: String.prototype.valueOf, Boolean: Boolean.prototype.valueOf };
  const views = { __proto__: null };
  for (const maker of [
    Int8Array, U8, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array, Float16Array, Float32Array, Float64Array,
  ]) views[maker.name] = maker;
  const errors = { __proto__: null };
  for (const maker of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) errors[maker.name] = maker;

  const refuse = (value) => { throw new Exception(inspect(value) + ' could not be cloned.', 'DataCloneError'); };
  const copy = (v, known) => {
    switch (typeof v) {
      case 'object': return v === null ? null : apply(mapGet, known, [v]) ?? copyObject(v, known);
      case 'function': case 'symbol': return refuse(v);
      default: return v;
    }
  };
  const keep = (v, made, known) => { apply(mapSet, known, [v, made]); return made; };
  const members = (v, made, known) => {
    const names = keysOf(v);
    for (let i = 0; i < names.length; i++) defineProperty(made, names[i], shown(copy(v[names[i]], known)));
    return made;
  };
  const copyError = (v, known) => {
    const name = v.name, made = keep(v, construct(errors[name] ?? errors.Error, []), known);
    for (const part of ['message', 'stack', 'cause']) {
      const descriptor = getOwnPropertyDescriptor(v, part);
      if (descriptor === undefined) continue;
      defineProperty(made, part, { __proto__: null, value: copy(descriptor.value, known), writable: true, configurable: true, enumerable: false });
    }
    return made;
  };
  const copyObject = (v, known) => {
    if (isProxy(v)) refuse(v);
    if (isException(v)) return keep(v, new Exception(v.message, v.name), known);
    const kind = kindOf(v);
    switch (kind) {
      case 'plain': case 'instance': return members(v, keep(v, {}, known), known);
      case 'array': {
        const made = keep(v, [], known);
        made.length = v.length;
        return members(v, made, known);
      }
      case 'Date': return keep(v, new D(apply(getTime, v, [])), known);
      case 'RegExp': return keep(v, new R(apply(sourceOf, v, []), apply(flagsOf, v, [])), known);
      case 'Map': {
        const made = keep(v, new M(), known), entries = new M();
        apply(mapForEach, v, [(value, key) => apply(mapSet, entries, [key, value])]);
        apply(mapForEach, entries, [(value, key) => apply(mapSet, made, [copy(key, known), copy(value, known)])]);
        return made;
      }
      case 'Set': {
        const made = keep(v, new S(), known), items = new S();
        apply(setForEach, v, [(item) => apply(setAdd, items, [item])]);
        apply(setForEach, items, [(item) => apply(setAdd, made, [copy(item, known)])]);
        return made;
      }
      case 'Error': return copyError(v, known);
      case 'ArrayBuffer': return keep(v, apply(sliceBuffer, v, [0]), known);
      case 'view': {
        const buffer = copy(apply(viewBuffer, v, []), known);
        return keep(v, new views[apply(tagOf, v, [])](buffer, apply(viewOffset, v, []), apply(viewLength, v, [])), known);
      }
      case 'DataView': return keep(v, new View(copy(apply(dataBuffer, v, []), known), apply(dataOffset, v, []), apply(dataLength, v, [])), known);
      case 'Number': case 'String': case 'Boolean': return keep(v, Obj(apply(primitives[kind], v, [])), known);
      default: return refuse(v);
    }
  };
  const move = (list, known) => {
    if (list === undefined || list === null) return;
    if (!isArray(list)) throw new TypeErr('the option transfer is a list of ArrayBuffers');
    for (let i = 0; i < list.length; i++) {
      if (typeof list[i] !== 'object' || list[i] === null || isProxy(list[i]) || kindOf(list[i]) !== 'ArrayBuffer') refuse(list[i]);
      apply(bufferLength, list[i], []);
    }
    for (let i = 0; i < list.length; i++) keep(list[i], apply(transfer, list[i], []), known);
  };
  return {
    __proto__: null,
    structuredClone: {
      structuredClone(value, options) {
        const known = new M();
        move(options?.transfer, known);
        return copy(value, known);
      },
    }.structuredClone,
  };
})
