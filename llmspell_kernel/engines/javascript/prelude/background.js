// async.background and async.tasks: work that a cell does not wait for, and that goes on between cells.
'use strict';
(function background({ describe, shown, label, values, living }, fail) {
  const { apply, defineProperty } = Reflect;
  const { stringify } = JSON;
  const TypeErr = TypeError, Text = String, { slice, toWellFormed } = String.prototype;
  const { then } = Promise.prototype;
  const mapSet = Map.prototype.set, mapDelete = Map.prototype.delete, mapForEach = Map.prototype.forEach;
  let live = new Map(), size = 0, count = 0;

  living.of(() => size);
  const run = async (called, id, state) => {
    const mine = live;
    try { return await called(); } catch (error) {
      if (mine === live) fail(describe(error));
      throw error;
    } finally {
      state.done = true;
      if (apply(mapDelete, mine, [id]) && mine === live) size--;
    }
  };
  // the failure was told: whoever awaits the promise as well may have it, nobody must
  const mute = async (promise) => { try { await promise; } catch (_) { /* told by run */ } };
  // What a script gets of its task: it can be awaited, yet as the last expression of a cell it is not, as a promise would be.
  class Task {
    #name; #promise; #state;
    constructor(name, promise, state) { this.#name = name; this.#promise = promise; this.#state = state; }
    get name() { return this.#name; }
    get done() { return this.#state.done; }
    then(onValue, onError) { return apply(then, this.#promise, [onValue, onError]); }
  }
  values.learn(Task.prototype, 'Task');

  const global = {
    background(called, name) {
      if (typeof called !== 'function') throw new TypeErr('async.background takes a function');
      living.begins();
      const id = ++count, state = { __proto__: null, done: false };
      const text = name === undefined ? 'task ' + id : apply(toWellFormed, apply(slice, Text(name), [0, 100]), []);
      apply(mapSet, live, [id, text]);
      size++;
      const promise = run(called, id, state), task = new Task(text, promise, state);
      mute(promise);
      label(task, '[task ' + text + ']');
      return task;
    },
    tasks() {
      const list = [];
      let at = 0;
      apply(mapForEach, live, [(name) => defineProperty(list, at++, shown({ name, background: true, done: false }))]);
      return list;
    },
  };
  return {
    __proto__: null, global,
    count: () => size,
    labels() {
      let text = '';
      apply(mapForEach, live, [(name) => { text += (text === '' ? '' : ',') + stringify(name); }]);
      return text;
    },
    clear() { live = new Map(); size = 0; },
  };
})
