// setTimeout, setInterval and their ends, over the effect timer.sleep: a cell waits for its timers, and clearing one cancels its effect.
'use strict';
(function timers({ raise, living }, { start, abandon, headOf }) {
  const { apply, getOwnPropertyDescriptor } = Reflect;
  const TypeErr = TypeError, Num = Number;
  const mapGet = Map.prototype.get, mapSet = Map.prototype.set, mapDelete = Map.prototype.delete;
  const head = headOf('timer', 'sleep');
  const mapSize = getOwnPropertyDescriptor(Map.prototype, 'size').get;
  let live = new Map(), count = 0;
  living.of(() => apply(mapSize, live, []));

  const sleep = (milliseconds, site, quiet) => {
    const ms = Num(milliseconds);
    return start(head, '[' + (ms > 0 && ms < Infinity ? ms / 1000 : 0) + ']', '}', site, quiet);
  };
  const run = async (id, timer) => {
    const { site } = timer.entry;
    for (;;) {
      try {
        await timer.entry.promise;
        if (!timer.repeats) apply(mapDelete, live, [id]);
        apply(timer.callback, undefined, timer.args);
      } catch (error) {
        apply(mapDelete, live, [id]);
        return raise(error);
      }
      if (apply(mapGet, live, [id]) !== timer) return;
      timer.entry = sleep(timer.milliseconds, run, false);
      // an error of the pause should say where the timer was made
      timer.entry.site = site;
    }
  };
  const add = (callback, milliseconds, args, repeats, site) => {
    if (typeof callback !== 'function') throw new TypeErr(site.name + ' takes a function');
    living.begins();
    const timer = { __proto__: null, callback, milliseconds, args, repeats, entry: sleep(milliseconds, site, false) };
    const id = ++count;
    apply(mapSet, live, [id, timer]);
    run(id, timer);
    return id;
  };
  const clear = (id) => {
    const timer = apply(mapGet, live, [id]);
    if (timer === undefined) return;
    apply(mapDelete, live, [id]);
    abandon(timer.entry);
  };
  const globals = {
    __proto__: null,
    setTimeout: { setTimeout(callback, milliseconds, ...args) { return add(callback, milliseconds, args, false, globals.setTimeout); } }.setTimeout,
    setInterval: { setInterval(callback, milliseconds, ...args) { return add(callback, milliseconds, args, true, globals.setInterval); } }.setInterval,
    clearTimeout: { clearTimeout(id) { clear(id); } }.clearTimeout,
    clearInterval: { clearInterval(id) { clear(id); } }.clearInterval,
  };
  // for AbortSignal.timeout, for which no cell waits
  const wait = async (milliseconds, site, action) => {
    const entry = sleep(milliseconds, site, true);
    try { await entry.promise; } catch (error) { return raise(error); }
    action();
  };
  return { __proto__: null, globals, sleep, wait, clear() { live = new Map(); } };
})
