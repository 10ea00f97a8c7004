// Effects: what a script asks of the host, and the world that waits for the answers.
'use strict';
(function effects({ shown, isProxy, values, meter, newQueue, put }, signals) {
  const { apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
  const { stringify } = JSON;
  const { create, keys: keysOf } = Object;
  const { captureStackTrace } = Error;
  const Err = Error, P = Promise;
  const hasOwn = Object.prototype.hasOwnProperty;

  // A world lasts until a cell begins with nothing left over, or until all that runs is stopped.  pending: effects by id; open: how many of
  // them a cell waits for; quiet: how many it does not; size: their arguments; calls: functions that the host called and that have not returned.
  const newWorld = () => ({
    __proto__: null, pending: create(null), open: 0, quiet: 0, size: 0, calls: 0, lingers: false,
    effects: newQueue(), returned: newQueue(), abandoned: newQueue(), modules: newQueue(), failed: newQueue(),
  });
  let world = newWorld(), effectCount = 0;

  // Starts an effect with its arguments as text.  A cell ends without waiting for a quiet one.
  const start = (head, text, tail, method, quiet) => {
    if (world.open + world.quiet >= meter.limit(meter.CALLS)) meter.exceed(meter.CALLS, world.open + world.quiet + 1);
    if (world.size + text.length > meter.limit(meter.CALL_BYTES)) meter.exceed(meter.CALL_BYTES, world.size + text.length);
    const site = new Err();
    captureStackTrace(site, method);
    const id = ++effectCount;
    const entry = { __proto__: null, id, site, quiet, size: text.length, promise: null, resolve: null, reject: null, item: null, forget: null };
    entry.promise = new P((resolve, reject) => { entry.resolve = resolve; entry.reject = reject; });
    put(world.effects, '{"id":' + id + head + text + tail);
    entry.item = world.effects.last;
    world.pending[id] = entry;
    world.size += entry.size;
    if (quiet) world.quiet++; else world.open++;
    return entry;
  };
  const takeOut = (id) => {
    const entry = world.pending[id];
    if (entry === undefined) return undefined;
    delete world.pending[id];
    world.size -= entry.size;
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
  return {
    __proto__: null, start, takeOut, abandon, ask,
    headOf: (bridge, method) => ',"bridge":' + stringify(bridge) + ',"method":' + stringify(method) + ',"args":',
    now: () => world,
    renew() { world = newWorld(); },
  };
})
