// The script's side of the border: bridges, resources, callbacks, console, and the hooks the interpreter calls.  An expression, called once
// before any script runs; what it returns stays with the interpreter and is never reachable from a script.
//
// Rules: the hooks touch only null-prototype objects and captured intrinsics; text goes out as JSON made here; whatever a script's getters,
// traps and prototypes do, a hook ends with a text or with an exception that the interpreter maps.
// `parts` are the functions of the files beside this one and in prelude/, found by their names, and the bytes of the files in late/.
'use strict';
(function prelude(settingsText, ...parts) {
  const { apply, getPrototypeOf, getOwnPropertyDescriptor, defineProperty, ownKeys } = Reflect;
  const { stringify } = JSON;
  const { isArray } = Array;
  const { create, freeze, preventExtensions, setPrototypeOf, keys: keysOf } = Object;
  const hasOwn = Object.prototype.hasOwnProperty, objectToString = Object.prototype.toString;
  const P = Promise, Err = Error, TypeErr = TypeError, NativeProxy = Proxy, Text = String, Obj = Object;
  const { isError, captureStackTrace } = Error;
  const mapGet = Map.prototype.get, mapSet = Map.prototype.set;
  const weakGet = WeakMap.prototype.get, weakSet = WeakMap.prototype.set;
  const weakHas = WeakSet.prototype.has, weakAdd = WeakSet.prototype.add;
  const slice = String.prototype.slice, toUpperCase = String.prototype.toUpperCase, indexOf = String.prototype.indexOf, lastIndexOf = String.prototype.lastIndexOf;
  const toWellFormed = String.prototype.toWellFormed, startsWith = String.prototype.startsWith, split = String.prototype.split;
  const { asyncIterator } = Symbol;
  const settings = JSON.parse(settingsText);
  const make = create(null), lateTexts = [];
  for (const part of parts) if (typeof part === 'function') make[part.name] = part; else lateTexts.push(part);
  const MAX_OPEN_EFFECTS = 50000, MAX_PRINTED = 8 * 1024 * 1024;

  const shown = (value) => ({ __proto__: null, value, writable: true, configurable: true, enumerable: true });
  const hidden = (value) => ({ __proto__: null, value, writable: true, configurable: true, enumerable: false });
  const clip = (text, size) => (text.length > size ? apply(slice, text, [0, size]) + '...' : text);

  // -- an environment from an allow list ------------------------------------------------------------------------------------------------
  const allowed = create(null);
  const allow = 'Object Function Error EvalError RangeError ReferenceError SyntaxError TypeError URIError InternalError AggregateError ' +
    'SuppressedError Iterator Array parseInt parseFloat isNaN isFinite queueMicrotask decodeURI decodeURIComponent encodeURI ' +
    'encodeURIComponent escape unescape Infinity NaN undefined eval Number Boolean String Math Reflect Symbol DisposableStack globalThis ' +
    'BigInt Date RegExp JSON Proxy Map Set WeakMap WeakSet ArrayBuffer Uint8ClampedArray Int8Array Uint8Array Int16Array Uint16Array ' +
    'Int32Array Uint32Array BigInt64Array BigUint64Array Float16Array Float32Array Float64Array DataView Promise AsyncDisposableStack ' +
    'WeakRef FinalizationRegistry DOMException btoa atob';
  for (const name of allow.split(' ')) allowed[name] = true;
  for (const name of ownKeys(globalThis)) if (typeof name === 'string' && !(name in allowed)) delete globalThis[name];
  // a script's prepareStackTrace would be handed our own functions (CallSite.getFunction)
  defineProperty(Err, 'prepareStackTrace', { __proto__: null, value: undefined, writable: false, configurable: false, enumerable: false });

  // Every Proxy is made here, so every Proxy is known: no other test exists that runs none of its traps.
  const proxies = new WeakSet();
  const isProxy = (value) => apply(weakHas, proxies, [value]);
  const noteProxy = (proxy) => { apply(weakAdd, proxies, [proxy]); return proxy; };
  const nativeRevocable = NativeProxy.revocable;
  const KnownProxy = function Proxy(target, handler) {
    if (new.target === undefined) throw new TypeErr("Proxy must be called with 'new'");
    return noteProxy(new NativeProxy(target, handler));
  };
  KnownProxy.prototype = undefined;
  defineProperty(KnownProxy, 'revocable', hidden({
    revocable(target, handler) { const made = nativeRevocable(target, handler); noteProxy(made.proxy); return made; },
  }.revocable));
  defineProperty(globalThis, 'Proxy', hidden(KnownProxy));

  // a re-run of the same cells draws the same numbers
  const random = make.random(settings.seed[0], settings.seed[1], 0x9e3779b9);
  defineProperty(Math, 'random', hidden({ random() { return ((random() >>> 5) * 67108864 + (random() >>> 6)) / 9007199254740992; } }.random));

  const values = make.values(settings.max_value_bytes, isProxy);
  const labels = new WeakMap();
  const { inspect, format, lookUp } = make.inspect(values.kindOf, isProxy, (value) => apply(weakGet, labels, [value]) ?? '');

  // -- queues: linked lists, because arrays answer to Array.prototype ---------------------------------------------------------------------
  const newQueue = () => ({ __proto__: null, first: null, last: null });
  const put = (queue, text) => {
    const item = { __proto__: null, text, next: null };
    if (queue.last === null) queue.first = item; else queue.last.next = item;
    queue.last = item;
  };
  // an item that was dropped before it was told is never told
  const drain = (queue) => {
    let text = '';
    for (let item = queue.first; item !== null; item = item.next) {
      if (item.text !== '') text += (text === '' ? '' : ',') + item.text;
      item.text = '';
    }
    queue.first = queue.last = null;
    return '[' + text + ']';
  };

  // -- what runs --------------------------------------------------------------------------------------------------------------------------
  // A world lasts until a cell begins with nothing left over, or until all that runs is stopped.  pending: effects by id; open: how many of
  // them a cell waits for; quiet: how many it does not; calls: functions that the host called and that have not returned.
  const newWorld = () => ({
    __proto__: null, pending: create(null), open: 0, quiet: 0, calls: 0, lingers: false,
    effects: newQueue(), returned: newQueue(), abandoned: newQueue(), modules: newQueue(), failed: newQueue(),
  });
  let world = newWorld();
  // outcome: '' or the JSON of how the cell ended
  let cell = { __proto__: null, outcome: '' };
  let effectCount = 0;

  // a DOMException is no Error to the language
  const { isException } = values;

  // -- faults -----------------------------------------------------------------------------------------------------------------------------
  const read = (thing, key) => {
    const value = thing[key];
    return typeof value === 'string' ? value : '';
  };
  const nativeStack = getOwnPropertyDescriptor(Err.prototype, 'stack').get;
  // the stack the engine kept, not a property that a script may set; for an effect's error the one captured at the call
  const stackOf = (error, origin) => {
    const descriptor = origin === undefined && !isException(error) ? undefined : getOwnPropertyDescriptor(error, 'stack');
    const stack = descriptor !== undefined ? descriptor.value : apply(nativeStack, error, []);
    return typeof stack === 'string' ? stack : '';
  };
  const thrownText = (thrown) => {
    if (typeof thrown === 'string') return thrown;
    if ((typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function') {
      const own = lookUp(thrown, 'toString');
      return typeof own === 'function' && own !== objectToString && typeof thrown !== 'function' ? Text(thrown) : inspect(thrown);
    }
    return typeof thrown === 'symbol' ? inspect(thrown) : '' + thrown;
  };
  const faultText = (code, name, message, stack, retryable, effect = 0) => '{"code":' + stringify(code) + ',"name":' + stringify(name) +
    ',"message":' + stringify(apply(toWellFormed, clip(message, 10000), [])) + ',"stack":' + stringify(apply(toWellFormed, clip(stack, 20000), [])) +
    ',"retryable":' + (retryable ? 'true' : 'false') + ',"effect":' + effect + '}';
  const OUT_OF_MEMORY = 'the script needs more than its limit of ' + settings.memory_bytes + ' bytes of memory; drop what is no longer needed, or reset the state';
  const describe = (thrown) => {
    try {
      // what the engine throws when no memory is left even for the error; a script that throws null looks the same
      if (thrown === null) return faultText('limit', 'InternalError', OUT_OF_MEMORY + ' (or threw null)', '', false);
      if (typeof thrown !== 'object' || !(isError(thrown) || isException(thrown))) return faultText('script', '', thrownText(thrown), '', false);
      const origin = values.originOf(thrown);
      const name = read(thrown, 'name'), message = read(thrown, 'message'), stack = stackOf(thrown, origin);
      if (name === 'InternalError' && message === 'out of memory') return faultText('limit', name, OUT_OF_MEMORY, stack, false);
      const clean = apply(toWellFormed, clip(name, 100), []);
      if (origin === undefined) return faultText('script', clean, message, stack, false);
      return faultText(origin.code, clean, message, stack, origin.retryable, origin.effect);
    } catch (_) {
      return faultText('script', 'Error', 'an error that throws when it is read', '', false);
    }
  };

  // An effect's fault as the Error its promise is rejected with; `site` was made at the call, so its stack points there.
  const natives = { __proto__: null, TypeError: TypeErr.prototype, RangeError: RangeError.prototype, SyntaxError: SyntaxError.prototype };
  const names = { __proto__: null, denied: 'DeniedError', limit: 'LimitError', argument: 'TypeError', value: 'TypeError', interrupted: 'InterruptedError' };
  const dress = (site, fault, effect) => {
    const name = names[fault.code] ?? (fault.name === '' || fault.name === 'ScriptError' ? 'Error' : clip(fault.name, 100));
    if (name in natives) setPrototypeOf(site, natives[name]);
    else defineProperty(site, 'name', hidden(name));
    defineProperty(site, 'message', hidden(fault.message));
    defineProperty(site, 'code', { __proto__: null, value: fault.code, writable: true, configurable: true, enumerable: true });
    defineProperty(site, 'retryable', { __proto__: null, value: fault.retryable, writable: true, configurable: true, enumerable: true });
    values.remember(site, fault.code, fault.retryable, effect);
    return site;
  };

  // an error of ours: the host sees its code, and so does a script
  const fault = (code, name, message) => {
    const error = new Err(message);
    if (name !== 'Error') defineProperty(error, 'name', hidden(name));
    defineProperty(error, 'code', shown(code));
    values.remember(error, code, false);
    return error;
  };

  // -- effects ----------------------------------------------------------------------------------------------------------------------------
  // Starts an effect with its arguments as text.  A cell ends without waiting for a quiet one.
  const start = (head, text, tail, method, quiet) => {
    if (world.open + world.quiet >= MAX_OPEN_EFFECTS) {
      const error = new RangeError('more than ' + MAX_OPEN_EFFECTS + ' calls are waiting for an answer; await some of them first');
      values.remember(error, 'limit', false);
      throw error;
    }
    const site = new Err();
    captureStackTrace(site, method);
    const id = ++effectCount;
    const entry = { __proto__: null, id, site, quiet, promise: null, resolve: null, reject: null, item: null, forget: null };
    entry.promise = new P((resolve, reject) => { entry.resolve = resolve; entry.reject = reject; });
    put(world.effects, '{"id":' + id + head + text + tail);
    entry.item = world.effects.last;
    world.pending[id] = entry;
    if (quiet) world.quiet++; else world.open++;
    return entry;
  };
  const takeOut = (id) => {
    const entry = world.pending[id];
    if (entry === undefined) return undefined;
    delete world.pending[id];
    if (entry.quiet) world.quiet--; else world.open--;
    if (entry.forget !== null) entry.forget();
    return entry;
  };
  // Nobody waits for this effect any more: the host cancels it, or never hears of it.
  const abandon = (entry) => {
    if (world.pending[entry.id] !== entry) return;
    takeOut(entry.id);
    if (entry.item.text !== '') entry.item.text = '';
    else put(world.abandoned, '' + entry.id);
  };
  // an uncaught error of a callback that nobody awaits: told at once, as an error of the cell
  const { queueMicrotask } = globalThis;
  const raise = (error) => queueMicrotask(() => { throw error; });
  const tools = {
    __proto__: null, hidden, shown, isProxy, values, start, abandon, raise, describe, inspect, format, fault,
    label: (thing, text) => { apply(weakSet, labels, [thing, text]); },
  };
  const signals = make.signals(tools);

  // `{ signal }` at the end of the arguments of any effect: taken out before they are written.
  const takeSignal = (args) => {
    const last = args.length - 1, options = last < 0 ? null : args[last];
    if (typeof options !== 'object' || options === null || isProxy(options)) return null;
    const descriptor = getOwnPropertyDescriptor(options, 'signal');
    if (descriptor === undefined || !apply(hasOwn, descriptor, ['value']) || !signals.isSignal(descriptor.value)) return null;
    if (values.kindOf(options) !== 'plain') return null;
    const rest = create(null), names = keysOf(options);
    for (let i = 0; i < names.length; i++) if (names[i] !== 'signal') rest[names[i]] = options[names[i]];
    if (names.length > 1) defineProperty(args, last, shown(rest)); else args.length = last;
    return descriptor.value;
  };
  const ask = (head, tail, args, method) => {
    const signal = takeSignal(args);
    let text;
    try { text = values.argumentsText(args); } catch (error) {
      // ours was made deep in the serializer: its stack should say where the call is
      if (typeof error === 'object' && error !== null && values.originOf(error) !== undefined) captureStackTrace(error, method);
      throw error;
    }
    if (signal === null) return start(head, text, tail, method, false).promise;
    if (signals.isAborted(signal)) return new P((_, reject) => reject(signals.reasonOf(signal)));
    const entry = start(head, text, tail, method, false);
    entry.forget = signals.onAbort(signal, (reason) => { abandon(entry); entry.reject(reason); });
    return entry.promise;
  };
  const headOf = (bridge, method) => ',"bridge":' + stringify(bridge) + ',"method":' + stringify(method) + ',"args":';

  const camel = (name) => {
    let text = '';
    for (let i = 0; i < name.length; i++) {
      text += name[i] === '_' && i > 0 && i + 1 < name.length ? apply(toUpperCase, name[++i], []) : name[i];
    }
    return text;
  };
  // A property that is read of anything (by await, String(), JSON.stringify and inspectors) must not be an error.
  const quietNames = { __proto__: null, then: 1, toJSON: 1, constructor: 1, toString: 1, valueOf: 1, inspect: 1, length: 1, name: 1, prototype: 1, nodeType: 1, asymmetricMatch: 1 };
  const distance = (a, b) => {
    // Levenshtein over two short names; rows are null-prototype objects for the reason above
    let row = create(null);
    for (let j = 0; j <= b.length; j++) row[j] = j;
    for (let i = 1; i <= a.length; i++) {
      const next = create(null);
      next[0] = i;
      for (let j = 1; j <= b.length; j++) {
        const change = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
        next[j] = change < row[j] + 1 && change < next[j - 1] + 1 ? change : (row[j] < next[j - 1] ? row[j] : next[j - 1]) + 1;
      }
      row = next;
    }
    return row[b.length];
  };
  const lower = String.prototype.toLowerCase;
  const hint = (name, known) => {
    let close = '', all = '';
    for (let i = 0; i < known.length; i++) {
      const apart = distance(apply(lower, clip(name, 60), []), apply(lower, known[i], []));
      if (apart <= 1 + known[i].length / 4) close += (close === '' ? '' : ' or ') + "'" + known[i] + "'";
      if (i < 12) all += (all === '' ? '' : ', ') + known[i];
    }
    return close === '' ? (all === '' ? '' : '; known: ' + all) : '; did you mean ' + close + '?';
  };
  // The prototype of every bridge and resource: an unknown name is an error at once, with the nearest names.
  const nothing = freeze(create(null)); // what every such Proxy stands before; its handler no script can reach
  const missing = (what, known) => noteProxy(new NativeProxy(nothing, {
    __proto__: null,
    get(_, name) {
      if (typeof name !== 'string' || name in quietNames || apply(startsWith, name, ['__'])) return undefined;
      throw new TypeErr(what + " has no method '" + clip(name, 60) + "'" + hint(name, known));
    },
  }));
  // One closure for each method, and closed by forbidding additions: freezing would give each function a shape of its own.
  const method = (name, head) => {
    const made = { [name](...args) { return ask(head, '}', args, made); } }[name];
    return preventExtensions(made);
  };
  const loopingMethod = (name, head) => {
    const made = { [name](...args) { return loopable(ask(head, '}', args, made)); } }[name];
    return preventExtensions(made);
  };
  const methodOf = (name, head, type) => {
    const made = { [name](...args) { return ask(head, ',"target":' + refHere(this, type).id + '}', args, made); } }[name];
    return preventExtensions(made);
  };

  // `for await (const chunk of llm.stream(p))`: the promise of something that can be looped over can be looped over itself.
  const loopable = (promise) => {
    let steps;
    const begun = async () => steps ??= (await promise)[asyncIterator]();
    defineProperty(promise, asyncIterator, hidden(function iterate() {
      return {
        async next() { return (await begun()).next(); },
        async return(value) { return (await begun()).return(value); },
        [asyncIterator]() { return this; },
      };
    }));
    return promise;
  };

  // lists are read by index and made by definition: a script's Array.prototype has no part in it
  const each = (list, action) => {
    const made = [];
    for (let i = 0; i < list.length; i++) defineProperty(made, i, shown(action(list[i])));
    return made;
  };
  const member = (object, name, fallback) => (apply(hasOwn, object, [name]) ? object[name] : fallback);
  const has = (list, item) => {
    for (let i = 0; i < list.length; i++) if (list[i] === item) return true;
    return false;
  };
  // an alias is the same function under another name
  const addAliases = (object, aliases) => {
    each(keysOf(aliases), (alias) => {
      const found = getOwnPropertyDescriptor(object, camel(aliases[alias]));
      if (found === undefined || apply(hasOwn, object, [camel(alias)])) return;
      defineProperty(object, camel(alias), { __proto__: null, enumerable: false, value: found.value });
    });
  };
  const bridges = create(null);
  const ownGlobal = (name) => {
    const descriptor = getOwnPropertyDescriptor(globalThis, name);
    return descriptor === undefined ? undefined : apply(hasOwn, descriptor, ['value']) ? descriptor.value : descriptor;
  };
  const addBridge = (name, methods, loops, aliases) => {
    const prototype = missing(name, each(methods, camel));
    values.learn(prototype, 'bridge');
    const bridge = create(prototype);
    each(methods, (called) => {
      const made = (has(loops, called) ? loopingMethod : method)(camel(called), headOf(name, called));
      defineProperty(bridge, camel(called), { __proto__: null, enumerable: true, value: made });
    });
    addAliases(bridge, aliases);
    apply(weakSet, labels, [bridge, '[bridge ' + name + ']']);
    freeze(bridge);
    // the global may be shadowed (`let llm = 1`): it is the script's own world
    const present = ownGlobal(name);
    if (present === undefined || present === bridges[name]) defineProperty(globalThis, name, hidden(bridge));
    bridges[name] = bridge;
  };
  const removeBridge = (name) => {
    if (bridges[name] === undefined) return;
    if (ownGlobal(name) === bridges[name]) delete globalThis[name];
    delete bridges[name];
  };

  // -- resources --------------------------------------------------------------------------------------------------------------------------
  const refs = new WeakMap();
  const refOf = (value) => apply(weakGet, refs, [value]);
  const refHere = (value, type) => {
    const ref = typeof value === 'object' && value !== null ? refOf(value) : undefined;
    if (ref === undefined || ref.type !== type) throw new TypeErr('a method of ' + type + ' was called without its object');
    return ref;
  };
  const resourceTypes = create(null);
  const iterated = (type, spec) => function iterate() {
    const ref = refHere(this, type);
    const tail = ',"target":' + ref.id + '}';
    const nextHead = headOf(type, spec.iterate), closeHead = has(spec.methods, 'close') ? headOf(type, 'close') : '';
    let done = false;
    const end = (value) => ({ value, done: true });
    const steps = {
      async next() {
        if (done) return end(undefined);
        const asked = ask(nextHead, tail, [], steps.next);
        try {
          const value = await asked;
          if (value === null || value === undefined) { done = true; return end(undefined); }
          return { value, done: false };
        } catch (error) { done = true; throw error; }
      },
      async return(value) {
        if (!done) {
          done = true;
          if (closeHead !== '') await ask(closeHead, tail, [], steps.return);
        }
        return end(value);
      },
      [asyncIterator]() { return steps; },
    };
    return steps;
  };
  const resourceType = (type, spec, aliases) => {
    const prototype = create(missing(type, each(spec.methods, camel)));
    each(spec.methods, (called) => {
      defineProperty(prototype, camel(called), { __proto__: null, enumerable: true, value: methodOf(camel(called), headOf(type, called), type) });
    });
    addAliases(prototype, aliases);
    if (spec.iterate) defineProperty(prototype, asyncIterator, { __proto__: null, value: freeze(iterated(type, spec)) });
    freeze(prototype);
    values.learn(prototype, 'resource');
    return prototype;
  };
  const unknownType = resourceType('resource', { methods: [], iterate: '' }, {});
  // what the catalogue declares; also in a running state
  const declare = (catalogue) => {
    const aliases = member(catalogue, 'aliases', {}), loops = member(catalogue, 'loops', {});
    const added = member(catalogue, 'bridges', {}), types = member(catalogue, 'resources', {});
    each(keysOf(added), (name) => addBridge(name, added[name], member(loops, name, []), member(aliases, name, {})));
    each(keysOf(types), (type) => { resourceTypes[type] = resourceType(type, types[type], member(aliases, type, {})); });
  };
  const withdraw = (name) => {
    removeBridge(name);
    each(keysOf(resourceTypes), (type) => { if (type === name || apply(startsWith, type, [name + '.'])) delete resourceTypes[type]; });
  };
  declare(settings);
  const resourceFor = (id, type) => {
    const made = create(resourceTypes[type] ?? unknownType);
    apply(weakSet, refs, [made, { __proto__: null, id, type }]);
    apply(weakSet, labels, [made, '[' + type + ' ' + id + ']']);
    return freeze(made);
  };

  // -- functions the host may call --------------------------------------------------------------------------------------------------------
  const callbackIds = new Map(), callbacks = create(null);
  let callbackCount = 0;
  const functionId = (called) => {
    let id = apply(mapGet, callbackIds, [called]);
    if (id === undefined) {
      id = ++callbackCount;
      apply(mapSet, callbackIds, [called, id]);
      callbacks[id] = called;
    }
    return id;
  };
  values.connect({ functionId, functionOf: (id) => callbacks[id] ?? null, resourceOf: refOf, resourceFor });

  const giveBack = (mine, id, field, text) => {
    if (mine !== world) return;
    put(mine.returned, '{"id":' + id + ',"' + field + '":' + text + '}');
    mine.calls--;
  };
  const invoke = async (id, number, args) => {
    const mine = world;
    mine.calls++;
    try {
      const called = callbacks[number];
      if (called === undefined) throw new TypeErr('the script has no function number ' + number);
      giveBack(mine, id, 'value', values.valueText(await apply(called, undefined, args), 'result'));
    } catch (error) { giveBack(mine, id, 'fault', describe(error)); }
  };

  // -- how the cell ends ------------------------------------------------------------------------------------------------------------------
  const isPromise = (value) => typeof value === 'object' && value !== null && !isProxy(value) && values.kindOf(value) === 'Promise';
  // `promise` gives { value } so that a promise as the last expression is not awaited by the engine; here it is, for the reader's sake.
  const watch = async (promise) => {
    const mine = cell;
    try {
      const settled = await promise;
      if (!apply(hasOwn, settled, ['value'])) throw new TypeErr("Object.prototype has a property 'value' that swallows every result; delete Object.prototype.value");
      let value = settled.value;
      if (isPromise(value)) value = await value;
      mine.outcome = '{"values":' + (value === undefined ? '[]' : '[' + values.shownText(value, inspect) + ']') + '}';
    } catch (error) { mine.outcome = '{"fault":' + describe(error) + '}'; }
  };

  // A global function that the host calls as a cell of its own; `this` is what stands before the last dot.
  const callGlobal = async (path, text) => {
    const mine = cell;
    try {
      const dot = apply(lastIndexOf, path, ['.']);
      const owner = dot < 0 ? undefined : valueAt(apply(slice, path, [0, dot]));
      const called = valueAt(path);
      if (typeof called !== 'function') throw new ReferenceError("there is no global function '" + clip(path, 60) + "'");
      const value = await apply(called, owner, values.revive(values.parse(text)));
      mine.outcome = '{"values":' + (value === undefined ? '[]' : '[' + values.shownText(value, inspect) + ']') + '}';
    } catch (error) { mine.outcome = '{"fault":' + describe(error) + '}'; }
  };

  // -- what is no part of the language ------------------------------------------------------------------------------------------------------
  const background = make.background(tools, (text) => put(world.failed, text));
  const modules = make.modules(tools, ask, headOf('modules', 'source'), (text) => put(world.modules, text));
  const timers = make.timers(tools, ',"bridge":"timer","method":"sleep","args":');
  let late = null;
  const anew = () => {
    world = newWorld();
    background.clear();
    modules.forgetUnfinished();
    timers.clear();
    late.clear();
  };
  const global = (name, value) => defineProperty(globalThis, name, hidden(value));
  const globals = (object) => each(keysOf(object), (name) => global(name, object[name]));
  globals(signals.globals);
  const [a, b, c, d] = settings.entropy.length === 4 ? settings.entropy : [settings.seed[1], settings.seed[0], 1, 1];
  const argument = (message) => {
    const error = new TypeErr(message);
    values.remember(error, 'argument', false);
    return error;
  };
  const gifts = freeze({
    __proto__: null, kindOf: values.kindOf, isException: values.isException, isProxy, shown, inspect: (value) => inspect(value, 0), random: make.random(a, b, c, d), hint, argument,
  });
  late = make.late(tools, gifts);
  for (let i = 0; i < lateTexts.length; i++) late.offer(settings.late[i], lateTexts[i]);
  global('inspect', { inspect(value, options) { return inspect(value, member(Obj(options ?? {}), 'depth', undefined)); } }.inspect);
  global('async', background.global);
  if (bridges.timer !== undefined) {
    globals(timers.globals);
    signals.useTimer(timers.wait);
    const pauses = make.pauses(tools, (args, site) => ask(headOf('timer', 'sleep'), '}', args, site), timers.sleep, signals);
    global('sleep', pauses.sleep);
    each(keysOf(pauses.async), (name) => defineProperty(background.global, name, shown(pauses.async[name])));
  }
  const offerRequire = () => { if (bridges.modules !== undefined && ownGlobal('require') === undefined) global('require', modules.require); };
  offerRequire();

  // -- printing ---------------------------------------------------------------------------------------------------------------------------
  let printed = newQueue(), printedSize = 0, isCut = false;
  const print = (stream, line) => {
    const text = line + '\n';
    if (printedSize + text.length > MAX_PRINTED) {
      if (!isCut) put(printed, '[2,"[output cut: more than 8 MB were printed without an await]\\n"]');
      isCut = true;
      return;
    }
    printedSize += text.length;
    if (printed.last !== null && printed.last.stream === stream) printed.last.raw += text;
    else { put(printed, ''); printed.last.stream = stream; printed.last.raw = text; }
  };
  const drainPrinted = () => {
    let text = '';
    for (let item = printed.first; item !== null; item = item.next) {
      text += (text === '' ? '' : ',') + (item.text === '' ? '[' + item.stream + ',' + stringify(item.raw) + ']' : item.text);
    }
    printed = newQueue();
    printedSize = 0;
    isCut = false;
    return '[' + text + ']';
  };
  const { console, printLine, begin: beginPrinting } = make.console(tools, (stream, text) => print(stream, text));
  defineProperty(globalThis, 'console', hidden(console));
  defineProperty(globalThis, 'print', hidden(printLine));

  // -- questions that run nothing of the script ---------------------------------------------------------------------------------------------
  const typeOf = (descriptor) => (!apply(hasOwn, descriptor, ['value']) ? 'property' : isArray(descriptor.value) ? 'array' : typeof descriptor.value);
  const valueAt = (path) => {
    let value = globalThis;
    const parts = path === '' ? [] : apply(split, path, ['.']);
    for (let i = 0; i < parts.length; i++) {
      if (value === null || value === undefined) return undefined;
      value = lookUp(Obj(value), parts[i]);
    }
    return value;
  };
  const members = (path) => {
    const value = valueAt(path);
    if (value === null || value === undefined) return '[]';
    let text = '', count = 0;
    const seen = create(null);
    for (let at = Obj(value), steps = 0; at !== null && steps < 20 && !isProxy(at); at = getPrototypeOf(at), steps++) {
      if (at === Obj.prototype && steps > 0) break;
      const keys = ownKeys(at);
      for (let i = 0; i < keys.length && count < 5000; i++) {
        const key = keys[i];
        if (typeof key !== 'string' || key in seen || (key[0] >= '0' && key[0] <= '9')) continue;
        seen[key] = true;
        text += (count++ === 0 ? '' : ',') + '[' + stringify(apply(toWellFormed, key, [])) + ',"' + typeOf(getOwnPropertyDescriptor(at, key)) + '"]';
      }
      if (path === '') break;
    }
    return '[' + text + ']';
  };
  const get = (name) => {
    const descriptor = getOwnPropertyDescriptor(globalThis, name);
    if (descriptor === undefined) {
      let known = [], at = 0;
      const keys = ownKeys(globalThis);
      for (let i = 0; i < keys.length; i++) {
        if (typeof keys[i] === 'string' && !(keys[i] in allowed)) defineProperty(known, at++, hidden(keys[i]));
      }
      throw new ReferenceError("there is no global '" + clip(name, 60) + "'" + hint(name, known));
    }
    if (!apply(hasOwn, descriptor, ['value'])) throw new TypeErr("the global '" + clip(name, 60) + "' is a getter");
    return values.quietText(descriptor.value, name);
  };
  const set = (name, text) => {
    const value = values.revive(values.parse(text));
    const old = getOwnPropertyDescriptor(globalThis, name);
    if (old !== undefined && !old.configurable && !old.writable) throw new TypeErr("the global '" + clip(name, 60) + "' cannot be set");
    const fresh = { __proto__: null, value, writable: true, configurable: true, enumerable: true };
    defineProperty(globalThis, name, old === undefined || old.configurable ? fresh : { __proto__: null, value });
    return 'null';
  };
  // named, not a list: an index that is not there would be asked of Object.prototype, which is the script's
  const orFault = (action) => (first, second) => {
    try { return '{"value":' + action(first, second) + '}'; } catch (error) { return '{"fault":' + describe(error) + '}'; }
  };

  const hooks = {
    __proto__: null,
    begin() {
      // what the host was told lives on; where nothing does, it has cancelled the rest
      if (!world.lingers || world.open + world.calls + background.count() === 0) anew();
      cell = { __proto__: null, outcome: '' };
      beginPrinting();
      return '';
    },
    watch(promise) { watch(promise); return ''; },
    call(path, args) { callGlobal(path, args); return ''; },
    describe,
    // everything is there: what a script adds from now on is its own
    ready() {
      each(ownKeys(globalThis), (name) => { if (typeof name === 'string') allowed[name] = true; });
      return '';
    },
    // answers and invocations, as the JSON of two arrays; tagged = some value holds a tag
    resume(text, tagged) {
      const message = values.parse(text);
      const answers = message[0], calls = message[1];
      for (let i = 0; i < answers.length; i++) {
        const { id, value, fault } = answers[i], entry = takeOut(id);
        if (entry === undefined) continue;
        if (fault === null) entry.resolve(tagged === '1' ? values.revive(value) : value);
        else entry.reject(dress(entry.site, fault, id));
      }
      for (let i = 0; i < calls.length; i++) invoke(calls[i].id, calls[i].callback, tagged === '1' ? values.revive(calls[i].args) : calls[i].args);
      return '';
    },
    // the outcome of compiling a module that `take` named: the function of its body, or an error
    compiled(id, body) { modules.compiled(id, body); return ''; },
    refused(id, error, message) { modules.refused(id, error, message); return ''; },
    // what happened since the last call
    take() {
      let text = '{"open":' + world.open + ',"quiet":' + world.quiet + ',"calls":' + world.calls + ',"tasks":' + background.count();
      if (printed.first !== null) text += ',"printed":' + drainPrinted();
      if (world.effects.first !== null) text += ',"effects":' + drain(world.effects);
      if (world.returned.first !== null) text += ',"returned":' + drain(world.returned);
      if (world.abandoned.first !== null) text += ',"abandoned":' + drain(world.abandoned);
      if (world.modules.first !== null) text += ',"modules":' + drain(world.modules);
      if (world.failed.first !== null) text += ',"failed":' + drain(world.failed);
      if (cell.outcome !== '') text += ',"outcome":' + cell.outcome;
      return text + '}';
    },
    // the cell is over, and what is open goes on without it
    linger() {
      let text = '';
      const ids = keysOf(world.pending);
      for (let i = 0; i < ids.length; i++) text += (i === 0 ? '' : ',') + ids[i];
      world.lingers = true;
      return '{"open":[' + text + '],"tasks":[' + background.labels() + ']}';
    },
    // forget whatever runs; what was printed is still shown
    abandon() { anew(); return drainPrinted(); },
    declare: orFault((_, text) => {
      const change = values.parse(text);
      each(member(change, 'remove', []), withdraw);
      declare(member(change, 'add', {}));
      offerRequire();
      return 'null';
    }),
    members: orFault(members), get: orFault(get), set: orFault(set),
  };
  return (name) => hooks[name];
})
