// The script's globals: an allow list, with a Proxy of our own.
'use strict';
(function environment(random, removed, preset) {
  const { apply, defineProperty, getOwnPropertyDescriptor, ownKeys, preventExtensions } = Reflect;
  const { create } = Object, Obj = Object;
  const hasOwn = Object.prototype.hasOwnProperty;
  const TypeErr = TypeError, NativeProxy = Proxy, nativeRevocable = Proxy.revocable;
  const weakHas = WeakSet.prototype.has, weakAdd = WeakSet.prototype.add;
  const scope = globalThis; // a script can delete the name
  const shown = (value) => ({ __proto__: null, value, writable: true, configurable: true, enumerable: true });
  const hidden = (value) => ({ __proto__: null, value, writable: true, configurable: true, enumerable: false });

  const known = create(null);
  const allow = 'Object Function Error EvalError RangeError ReferenceError SyntaxError TypeError URIError InternalError AggregateError ' +
    'SuppressedError Iterator Array parseInt parseFloat isNaN isFinite queueMicrotask decodeURI decodeURIComponent encodeURI ' +
    'encodeURIComponent escape unescape Infinity NaN undefined eval Number Boolean String Math Reflect Symbol DisposableStack globalThis ' +
    'BigInt Date RegExp JSON Proxy Map Set WeakMap WeakSet ArrayBuffer Uint8ClampedArray Int8Array Uint8Array Int16Array Uint16Array ' +
    'Int32Array Uint32Array BigInt64Array BigUint64Array Float16Array Float32Array Float64Array DataView Promise AsyncDisposableStack ' +
    'DOMException btoa atob';
  for (const name of allow.split(' ')) known[name] = true;
  for (const name of ownKeys(globalThis)) if (typeof name === 'string' && !(name in known)) delete globalThis[name];
  // a script's prepareStackTrace would be handed our own functions (CallSite.getFunction)
  defineProperty(Error, 'prepareStackTrace', { __proto__: null, value: undefined, writable: false, configurable: false, enumerable: false });

  // Each error asks for this number, also one that is made while a question of the host is answered: what a script sets is made a number at once.
  const Err = Error, { get: depth, set: setDepth } = getOwnPropertyDescriptor(Err, 'stackTraceLimit');
  defineProperty(Err, 'stackTraceLimit', {
    __proto__: null, configurable: true, enumerable: false,
    get() { return apply(depth, Err, []); },
    set(limit) { apply(setDepth, Err, [+limit]); },
  });
  // Each `await` asks a promise for it, also those of our own functions.
  defineProperty(Promise.prototype, 'constructor', { __proto__: null, value: Promise, writable: false, configurable: false, enumerable: false });

  // Every Proxy is made here, so every Proxy is known: no other test exists that runs none of its traps.
  const proxies = new WeakSet();
  const isProxy = (value) => apply(weakHas, proxies, [value]);
  const noted = (proxy) => { apply(weakAdd, proxies, [proxy]); return proxy; };
  const newProxy = (target, handler) => noted(new NativeProxy(target, handler));
  const KnownProxy = function Proxy(target, handler) {
    if (new.target === undefined) throw new TypeErr("Proxy must be called with 'new'");
    return newProxy(target, handler);
  };
  KnownProxy.prototype = undefined;
  defineProperty(KnownProxy, 'revocable', hidden({
    revocable(target, handler) { const made = nativeRevocable(target, handler); noted(made.proxy); return made; },
  }.revocable));
  defineProperty(globalThis, 'Proxy', hidden(KnownProxy));

  // What is left out is still there for `instanceof` and the like, as where a page forbids it (CSP); it only makes nothing.
  const { getPrototypeOf } = Reflect;
  const EvalErr = EvalError;
  const refusal = (name) => new EvalErr("'" + name + "' is not in the preset " + preset + ': a script cannot make code from text');
  const withoutFunctions = () => {
    const kinds = [function () {}, async function () {}, function* () {}, async function* () {}];
    for (let i = 0; i < kinds.length; i++) {
      const prototype = getPrototypeOf(kinds[i]), { name } = prototype.constructor;
      const none = { [name]: function () { throw refusal(name); } }[name];
      defineProperty(none, 'prototype', { __proto__: null, value: prototype, writable: false });
      defineProperty(prototype, 'constructor', { __proto__: null, value: none, writable: false, configurable: false });
      if (i === 0) defineProperty(globalThis, 'Function', hidden(none));
    }
  };
  const leaveOut = (name) => {
    if (name === 'Function') return withoutFunctions();
    if (getOwnPropertyDescriptor(globalThis, name) === undefined) return;
    const none = { [name](..._) { throw refusal(name); } }[name];
    defineProperty(globalThis, name, hidden(none));
  };

  // a re-run of the same cells draws the same numbers
  defineProperty(Math, 'random', hidden({ random() { return ((random() >>> 5) * 67108864 + (random() >>> 6)) / 9007199254740992; } }.random));

  // A global that is made when it is first read: what `entry.make(entry)` gives, if that is something.  What a script sets takes its place.
  const late = (entry) => {
    const { get, set } = {
      get() {
        const value = entry.make(entry);
        if (value !== undefined) defineProperty(scope, entry.name, hidden(value));
        return value;
      },
      set(value) { defineProperty(scope, entry.name, hidden(value)); },
    };
    defineProperty(scope, entry.name, { __proto__: null, configurable: true, enumerable: false, get, set });
    return get;
  };

  return {
    __proto__: null, shown, hidden, isProxy, newProxy, late,
    global: (name, value) => defineProperty(scope, name, hidden(value)),
    // what a global holds; a getter is told apart by its descriptor, not run
    held(name) {
      const descriptor = getOwnPropertyDescriptor(scope, name);
      return descriptor === undefined ? undefined : apply(hasOwn, descriptor, ['value']) ? descriptor.value : descriptor;
    },
    isOurs: (name) => name in known,
    // everything is there: what a script adds from now on is its own
    complete() {
      for (let i = 0; i < removed.length; i++) leaveOut(removed[i]);
      // The engine itself puts a cell's result into a plain object: a setter for `value` here would run with each, and no cell could end.
      preventExtensions(Obj.prototype);
      for (const name of ownKeys(scope)) if (typeof name === 'string') known[name] = true;
    },
  };
})
