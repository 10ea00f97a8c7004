// require(name): a module's text comes by an effect, the interpreter compiles it, and its body runs once, as an async function.
'use strict';
(function modules({ hidden, fault }, { ask, headOf }, want) {
  const { apply, defineProperty } = Reflect;
  const { stringify } = JSON;
  const { create } = Object;
  const P = Promise, TypeErr = TypeError, SyntaxErr = SyntaxError;
  const mapGet = Map.prototype.get, mapSet = Map.prototype.set, mapDelete = Map.prototype.delete, mapForEach = Map.prototype.forEach;
  const { toWellFormed } = String.prototype;

  const head = headOf('modules', 'source');

  // by name: every module that is loaded or being loaded; needs = the records it is waiting for
  const records = new Map();
  let compiling = create(null), count = 0;

  const compile = (name, source) => new P((resolve, reject) => {
    const id = ++count;
    compiling[id] = { __proto__: null, resolve, reject };
    want('{"id":' + id + ',"name":' + stringify(name) + ',"source":' + stringify(apply(toWellFormed, source, [])) + '}');
  });
  const take = (id) => {
    const entry = compiling[id];
    delete compiling[id];
    return entry;
  };
  const load = async (record, site) => {
    try {
      const source = await ask(head, '}', [record.name, 'javascript'], site);
      if (typeof source !== 'string') throw new TypeErr("the module '" + record.name + "' has no text");
      const { body } = await compile(record.name, source);
      const module = { exports: {} };
      await body(module, module.exports, requireOf(record));
      return module.exports;
    } catch (error) {
      // the next require tries again
      if (apply(mapGet, records, [record.name]) === record) apply(mapDelete, records, [record.name]);
      throw error;
    } finally { record.done = true; }
  };
  // the names from one module to another along what each is waiting for, '' if there is no such way
  const wayTo = (from, to, seen) => {
    if (from === to) return from.name;
    if (from.done || from.name in seen) return '';
    seen[from.name] = true;
    let way = '';
    apply(mapForEach, from.needs, [(_, next) => {
      const rest = way === '' ? wayTo(next, to, seen) : '';
      if (rest !== '') way = from.name + ' -> ' + rest;
    }]);
    return way;
  };
  const requireOf = (parent) => {
    const { require } = {
      async require(name) {
        if (typeof name !== 'string') throw new TypeErr('require takes the name of a module as text');
        let record = apply(mapGet, records, [name]);
        if (record === undefined) {
          record = { __proto__: null, name, done: false, needs: new Map(), promise: null };
          apply(mapSet, records, [name, record]);
          record.promise = load(record, require);
        }
        if (parent === null || parent.done) return await record.promise;
        const way = record.done ? '' : wayTo(record, parent, create(null));
        if (way !== '') throw fault('module_cycle', 'Error', 'modules that require each other: ' + way + ' -> ' + name);
        apply(mapSet, parent.needs, [record, true]);
        try { return await record.promise; } finally { apply(mapDelete, parent.needs, [record]); }
      },
    };
    return require;
  };
  return {
    __proto__: null,
    require: requireOf(null),
    compiled(id, body) { take(id)?.resolve({ __proto__: null, body }); },
    refused(id, error, message) {
      if (typeof error === 'string') take(id)?.reject(new SyntaxErr(error));
      else {
        if (message !== '') defineProperty(error, 'message', hidden(message));
        take(id)?.reject(error);
      }
    },
    // all that runs was stopped, and nothing will finish these
    forgetUnfinished() {
      compiling = create(null);
      apply(mapForEach, records, [(record, name) => { if (!record.done) apply(mapDelete, records, [name]); }]);
    },
  };
})
