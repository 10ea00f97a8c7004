// Event, EventTarget, AbortController and AbortSignal, and what effects need of them: to hear of an abort before the script does.
'use strict';
(function signals({ values, raise, shown }) {
  const { apply } = Reflect;
  const TypeErr = TypeError, Exception = DOMException, Text = String;
  const { now } = Date;
  let stateOf, listenersOf, signalOf, timer = null;

  class Event {
    #state;
    constructor(type, options = {}) {
      if (arguments.length === 0) throw new TypeErr('an Event needs a type');
      this.#state = { __proto__: null, type: Text(type), target: null, cancelable: !!options.cancelable, prevented: false, stopped: false, timeStamp: now() };
    }
    get type() { return this.#state.type; }
    get target() { return this.#state.target; }
    get currentTarget() { return this.#state.target; }
    get cancelable() { return this.#state.cancelable; }
    get defaultPrevented() { return this.#state.prevented; }
    get timeStamp() { return this.#state.timeStamp; }
    preventDefault() { if (this.#state.cancelable) this.#state.prevented = true; }
    stopImmediatePropagation() { this.#state.stopped = true; }
    static { stateOf = (event) => event.#state; }
  }

  // Listeners are a linked list, as arrays answer to Array.prototype; one that is added while an event runs does not see that event.
  class EventTarget {
    #listeners = { __proto__: null, first: null, last: null, handler: null };
    addEventListener(type, callback, options = {}) {
      if (callback === null || callback === undefined) return;
      if (typeof callback !== 'function' && typeof callback !== 'object') throw new TypeErr('a listener is a function or an object with handleEvent');
      const list = this.#listeners, name = Text(type), { once, signal } = typeof options === 'object' && options !== null ? options : {};
      for (let at = list.first; at !== null; at = at.next) if (!at.removed && at.type === name && at.callback === callback) return;
      const item = { __proto__: null, type: name, callback, once: !!once, removed: false, next: null };
      if (signal !== undefined) {
        if (!isSignal(signal)) throw new TypeErr('the option signal is not an AbortSignal');
        if (isAborted(signal)) return;
        onAbort(signal, () => remove(list, item));
      }
      if (list.last === null) list.first = item; else list.last.next = item;
      list.last = item;
    }
    removeEventListener(type, callback) {
      const list = this.#listeners, name = Text(type);
      for (let at = list.first; at !== null; at = at.next) if (!at.removed && at.type === name && at.callback === callback) return remove(list, at);
    }
    dispatchEvent(event) {
      const list = this.#listeners, state = stateOf(event), last = list.last;
      state.target = this;
      if (list.handler !== null && state.type === 'abort') call(list.handler, this, event);
      for (let at = last === null ? null : list.first; at !== null && !state.stopped; at = at === last ? null : at.next) {
        if (at.removed || at.type !== state.type) continue;
        if (at.once) remove(list, at);
        call(at.callback, this, event);
      }
      return !state.prevented;
    }
    static { listenersOf = (target) => target.#listeners; }
  }
  const remove = (list, item) => {
    item.removed = true;
    let before = null;
    for (let at = list.first; at !== null && at !== item; at = at.next) before = at;
    if (before === null) list.first = item.next; else before.next = item.next;
    if (list.last === item) list.last = before;
  };
  const call = (callback, target, event) => {
    try {
      if (typeof callback === 'function') apply(callback, target, [event]);
      else callback.handleEvent(event);
    } catch (error) { raise(error); }
  };

  const secret = {};
  class AbortSignal extends EventTarget {
    #state = { __proto__: null, aborted: false, reason: undefined, first: null };
    constructor(key) {
      if (key !== secret) throw new TypeErr('an AbortSignal is made by an AbortController, AbortSignal.abort, .timeout or .any');
      super();
    }
    get aborted() { return this.#state.aborted; }
    get reason() { return this.#state.reason; }
    get onabort() { return listenersOf(this).handler; }
    set onabort(handler) { listenersOf(this).handler = typeof handler === 'function' ? handler : null; }
    throwIfAborted() { if (this.#state.aborted) throw this.#state.reason; }
    static abort(reason) {
      const signal = new AbortSignal(secret);
      abort(signal, reason);
      return signal;
    }
    static timeout(milliseconds) {
      if (timer === null) throw new TypeErr('AbortSignal.timeout needs the bridge timer');
      const signal = new AbortSignal(secret);
      timer(milliseconds, AbortSignal.timeout, () => abort(signal, new Exception('The operation was aborted due to timeout', 'TimeoutError')));
      return signal;
    }
    static any(signals) {
      const joined = new AbortSignal(secret);
      for (const signal of signals) {
        if (!isSignal(signal)) throw new TypeErr('AbortSignal.any takes AbortSignals');
        if (isAborted(signal)) { abort(joined, signal.#state.reason); break; }
        onAbort(signal, (reason) => abort(joined, reason));
      }
      return joined;
    }
    static { signalOf = (value) => (typeof value === 'object' && value !== null && #state in value ? value.#state : undefined); }
  }
  const isSignal = (value) => signalOf(value) !== undefined;
  const isAborted = (signal) => signalOf(signal).aborted;
  const reasonOf = (signal) => signalOf(signal).reason;
  // calls `action(reason)` at the abort; gives a function that takes this back
  const onAbort = (signal, action) => {
    const state = signalOf(signal), item = { __proto__: null, action, next: state.first, before: null };
    if (state.first !== null) state.first.before = item;
    state.first = item;
    return () => {
      if (item.action === null) return;
      item.action = null;
      if (item.before === null) state.first = item.next; else item.before.next = item.next;
      if (item.next !== null) item.next.before = item.before;
    };
  };
  const { dispatchEvent } = EventTarget.prototype;
  const abort = (signal, reason) => {
    const state = signalOf(signal);
    if (state.aborted) return;
    state.aborted = true;
    state.reason = reason === undefined ? new Exception('This operation was aborted', 'AbortError') : reason;
    let item = state.first;
    state.first = null;
    for (; item !== null; item = item.next) {
      const { action } = item;
      item.action = null;
      if (action !== null) action(state.reason);
    }
    apply(dispatchEvent, signal, [new Event('abort')]);
  };
  class AbortController {
    #signal = new AbortSignal(secret);
    get signal() { return this.#signal; }
    abort(reason) { abort(this.#signal, reason); }
  }

  values.learn(AbortSignal.prototype, 'AbortSignal');
  values.learn(AbortController.prototype, 'AbortController');
  return {
    __proto__: null, isSignal, isAborted, reasonOf, onAbort,
    useTimer(wait) { timer = wait; },
    globals: { __proto__: null, Event, EventTarget, AbortController, AbortSignal },
  };
})
