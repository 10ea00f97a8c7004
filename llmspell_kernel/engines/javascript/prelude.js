// The script's side of the border: makes a new state a script's world from the files in prelude/, and gives the hooks the interpreter calls.
// An expression, called once before any script runs; what it returns stays with the interpreter and is never reachable from a script.
//
// Rules, also for the files in prelude/: they touch only null-prototype objects and intrinsics captured before a script runs; text goes out as
// JSON made here; whatever a script's getters, traps and prototypes do, a hook ends with a text or with an exception that the interpreter maps.
// `parts` are the functions of the files beside this one and in prelude/, found by their names, and the bytes of the files in late/.
'use strict';
(function prelude(settingsText, shared, ...parts) {
  const { apply, defineProperty } = Reflect;
  const { create, freeze, keys: keysOf } = Object;
  const weakGet = WeakMap.prototype.get, weakSet = WeakMap.prototype.set;
  const Obj = Object, { slice } = String.prototype, { queueMicrotask } = globalThis;
  const settings = JSON.parse(settingsText);
  const make = create(null), lateTexts = [];
  for (const part of parts) if (typeof part === 'function') make[part.name] = part; else lateTexts.push(part);

  // -- what every part may use: `tools` ---------------------------------------------------------------------------------------------------
  const { seed, entropy } = settings;
  const environment = make.environment(make.random(seed[0], seed[1], 0x9e3779b9), settings.removed, settings.preset);
  const meter = make.meter(shared);
  make.clock(environment, meter);
  const { isProxy, shown, global, held } = environment;
  const lists = make.lists(environment), { each, member } = lists;
  const values = make.values(settings.max_value_bytes, settings.max_value_items, isProxy);
  const labels = new WeakMap();
  const { inspect, format, lookUp } = make.inspect(values.kindOf, isProxy, (value) => apply(weakGet, labels, [value]) ?? '');
  const tools = {
    __proto__: null, ...environment, ...make.queues(), meter, living: make.living(meter), ...lists, values, inspect, format, lookUp,
    clip: (text, size) => (text.length > size ? apply(slice, text, [0, size]) + '...' : text),
    label: (thing, text) => { apply(weakSet, labels, [thing, text]); },
    // an uncaught error of a callback that nobody awaits: told at once, as an error of the cell
    raise: (error) => queueMicrotask(() => { throw error; }),
  };
  const { put, drain } = tools;
  const hint = tools.hint = make.nearest(tools);
  const { describe, dress, fault, stack, argument, answering } = make.faults(tools, settings.memory_full);
  tools.describe = describe;
  tools.fault = fault;

  // -- the border -------------------------------------------------------------------------------------------------------------------------
  const signals = make.signals(tools);
  const effects = make.effects(tools, signals);
  const { now } = effects;
  const names = make.names(tools), bridges = make.bridges(tools, effects, names), resources = make.resources(tools, effects, names);
  const callbacks = make.callbacks(tools, now);
  values.connect({ functionId: callbacks.idOf, functionOf: callbacks.of, resourceOf: resources.refOf, resourceFor: resources.make });
  // what the catalogue declares; also in a running state
  const declare = (catalogue) => {
    const aliases = member(catalogue, 'aliases', {}), loops = member(catalogue, 'loops', {});
    const added = member(catalogue, 'bridges', {}), types = member(catalogue, 'resources', {});
    const noLoops = [], noAliases = {};
    each(keysOf(added), (name) => bridges.add(name, added[name], member(loops, name, noLoops), member(aliases, name, noAliases)));
    each(keysOf(types), (type) => resources.add(type, types[type], member(aliases, type, noAliases)));
  };
  const withdraw = (name) => {
    bridges.remove(name);
    resources.removeAllOf(name);
  };
  declare(settings);

  // -- what is no part of the language ------------------------------------------------------------------------------------------------------
  const globals = (object) => each(keysOf(object), (name) => global(name, object[name]));
  const background = make.background(tools, (text) => put(now().failed, text));
  const modules = make.modules(tools, effects, (text) => put(now().modules, text));
  const timers = make.timers(tools, effects);
  const output = make.output(tools), { console, printLine, begin: beginPrinting } = make.console(tools, output.print);
  const queries = make.queries(tools, bridges), cells = make.cells(tools, queries.valueAt);
  globals(signals.globals);
  globals({ __proto__: null, console, print: printLine, async: background.global });
  global('inspect', { inspect(value, options) { return inspect(value, member(Obj(options ?? {}), 'depth', undefined)); } }.inspect);
  if (bridges.has('timer')) {
    globals(timers.globals);
    signals.useTimer(timers.wait);
    const pauses = make.pauses(tools, effects, timers.sleep, signals);
    global('sleep', pauses.sleep);
    each(keysOf(pauses.async), (name) => defineProperty(background.global, name, shown(pauses.async[name])));
  }
  const offerRequire = () => { if (bridges.has('modules') && held('require') === undefined) global('require', modules.require); };
  offerRequire();
  // without entropy ids repeat, as everything else then does
  const [a, b, c, d] = entropy.length === 4 ? entropy : [seed[1], seed[0], 1, 1];
  const libraries = make.libraries(tools, freeze({
    __proto__: null, kindOf: values.kindOf, isException: values.isException, isProxy, shown, inspect: (value) => inspect(value, 0), random: make.random(a, b, c, d), hint, argument,
  }));
  for (let i = 0; i < lateTexts.length; i++) libraries.offer(settings.late[i], lateTexts[i]);

  // -- hooks --------------------------------------------------------------------------------------------------------------------------------
  const anew = () => {
    effects.renew();
    background.clear();
    modules.forgetUnfinished();
    timers.clear();
    libraries.clear();
  };
  const hooks = {
    __proto__: null,
    begin() {
      // what the host was told lives on; where nothing does, it has cancelled the rest
      const world = now();
      if (!world.lingers || world.open + world.calls + background.count() === 0) anew();
      cells.begin();
      beginPrinting();
      return '';
    },
    watch(promise) { cells.watch(promise); return ''; },
    call(path, number, args) { cells.call(path, number === '0' ? undefined : callbacks.of(number), args); return ''; },
    describe,
    ready() { environment.complete(); return ''; },
    // answers and invocations, as the JSON of two arrays; tagged = some value holds a tag
    resume(text, tagged) {
      const message = values.parse(text);
      const answers = message[0], calls = message[1];
      for (let i = 0; i < answers.length; i++) {
        const { id, value, fault } = answers[i], entry = effects.takeOut(id);
        if (entry === undefined) continue;
        if (fault === null) entry.resolve(tagged === '1' ? values.revive(value) : value);
        else entry.reject(dress(entry.site, fault, id));
      }
      for (let i = 0; i < calls.length; i++) callbacks.invoke(calls[i].id, calls[i].callback, tagged === '1' ? values.revive(calls[i].args) : calls[i].args);
      return '';
    },
    // the outcome of compiling a module that `take` named: the function of its body, or an error
    compiled(id, body) { modules.compiled(id, body); return ''; },
    refused(id, error, message) { modules.refused(id, error, message); return ''; },
    // what happened since the last call
    take() {
      const world = now();
      let text = '{"open":' + world.open + ',"quiet":' + world.quiet + ',"calls":' + world.calls + ',"tasks":' + background.count();
      if (!output.isEmpty()) text += ',"printed":' + output.drain();
      if (world.effects.first !== null) text += ',"effects":' + drain(world.effects);
      if (world.returned.first !== null) text += ',"returned":' + drain(world.returned);
      if (world.abandoned.first !== null) text += ',"abandoned":' + drain(world.abandoned);
      if (world.modules.first !== null) text += ',"modules":' + drain(world.modules);
      if (world.failed.first !== null) text += ',"failed":' + drain(world.failed);
      if (cells.outcome() !== '') text += ',"outcome":' + cells.outcome();
      return text + '}';
    },
    // the cell is over, and what is open goes on without it
    linger() {
      const world = now(), ids = keysOf(world.pending);
      let text = '';
      for (let i = 0; i < ids.length; i++) text += (i === 0 ? '' : ',') + ids[i];
      world.lingers = true;
      return '{"open":[' + text + '],"tasks":[' + background.labels() + ']}';
    },
    untilPoll: meter.untilPoll, spin: meter.spin, pass: meter.pass,
    // of an error that the engine made
    stack,
    // forget whatever runs; what was printed is still shown
    abandon() { anew(); return output.drain(); },
    declare: answering((_, text) => {
      const change = values.parse(text);
      each(member(change, 'remove', []), withdraw);
      declare(member(change, 'add', {}));
      offerRequire();
      return 'null';
    }),
    members: answering(queries.members), get: answering(queries.get), set: answering(queries.set),
  };
  return (name) => hooks[name];
})
