// The live view of one cell: panes of streaming text, one for each call.  Nothing that comes in is ever parsed as HTML.
const LIMIT = 200000; // characters shown in all panes together; the tail is kept
const ICONS = { running: '◌', done: '✓', stopped: '⊘', failed: '✗', denied: '⊘', interrupted: '⊘', incomplete: '✗' };

const make = (tag, cls, text) => {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text != null) node.textContent = text;
  return node;
};

function makePane(id, title) {
  const node = make('section', 'llmspell-pane');
  const bar = make('div', 'llmspell-bar');
  const heading = make('b', '', title);
  heading.title = title;
  const note = make('span', 'llmspell-note');
  const badge = make('span', 'llmspell-badge');
  bar.append(heading, note, badge);
  const log = make('div', 'llmspell-text');
  log.setAttribute('role', 'log');
  log.setAttribute('aria-live', 'off'); // announced token by token it would be unusable
  log.setAttribute('aria-label', title);
  log.tabIndex = 0; // it scrolls, so the keyboard must reach it
  const text = document.createTextNode('');
  log.append(text, make('span', 'llmspell-cursor'));
  const spans = make('ul', 'llmspell-spans');
  node.append(bar, log, spans);
  return { id, node, note, badge, log, text, spans, pending: '', cut: false, lines: new Map() };
}

function render({ model, el }) {
  const root = make('div', 'llmspell-live');
  const bar = make('div', 'llmspell-bar llmspell-top');
  const status = make('span', 'llmspell-status', 'Running');
  status.setAttribute('role', 'status');
  const stop = make('button', 'llmspell-stop', 'Stop');
  stop.type = 'button';
  stop.setAttribute('aria-label', 'Stop this cell');
  const list = make('div', 'llmspell-panes');
  const more = make('div', 'llmspell-more');
  bar.append(status, stop);
  root.append(bar, list, more);
  el.append(root);

  const panes = new Map();
  let frame = 0;

  const paint = () => {
    frame = 0;
    const limit = Math.floor(LIMIT / Math.max(1, panes.size));
    for (const pane of panes.values()) {
      if (!pane.pending) continue;
      const { log, text } = pane;
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
      text.appendData(pane.pending);
      pane.pending = '';
      if (text.length > limit) {
        text.deleteData(0, text.length - Math.floor(limit * 0.9)); // a tenth at once, not a little in every frame
        pane.cut = true;
      }
      if (pane.cut) pane.note.textContent = 'earlier text not shown';
      if (atEnd) log.scrollTop = log.scrollHeight;
    }
  };

  const setStatus = (pane, value, note) => {
    pane.node.dataset.status = value;
    pane.badge.textContent = `${ICONS[value] || '•'} ${value}`;
    if (note) pane.note.textContent = note;
  };

  const addSpan = (pane, { span, text, status: value }) => {
    let line = pane.lines.get(span);
    if (!line) {
      line = make('li');
      pane.lines.set(span, line);
      pane.spans.append(line);
    }
    line.dataset.status = value;
    line.textContent = `${ICONS[value] || '•'} ${text} ${value}`;
  };

  const apply = (op) => {
    const pane = panes.get(op.id);
    switch (op.op) {
      case 'reset':
        panes.clear();
        list.replaceChildren();
        break;
      case 'pane':
        if (!pane) {
          const added = makePane(op.id, op.title);
          panes.set(op.id, added);
          list.append(added.node);
          setStatus(added, 'running');
          root.classList.toggle('llmspell-many', panes.size > 1);
        }
        break;
      case 'drop':
        if (pane) {
          panes.delete(op.id);
          pane.node.remove();
        }
        break;
      case 'text':
        if (pane) pane.pending = (pane.pending + op.text).slice(-LIMIT);
        break;
      case 'status':
        if (pane) setStatus(pane, op.status, op.note);
        break;
      case 'span':
        if (pane) addSpan(pane, op);
        break;
      case 'more':
        more.textContent = op.text;
        break;
    }
  };

  const receive = (message) => {
    if (!message || !Array.isArray(message.batch)) return;
    message.batch.forEach(apply);
    if (!frame) frame = requestAnimationFrame(paint);
  };

  stop.onclick = () => {
    model.send({ stop: true });
    stop.disabled = true;
    stop.textContent = 'Stopping…';
    status.textContent = 'Stopping';
  };

  model.on('msg:custom', receive);
  model.send({ ready: true }); // the kernel answers with all there is so far: what came before this view was drawn is not lost
  return () => {
    model.off('msg:custom', receive);
    cancelAnimationFrame(frame);
  };
}

export default { render };
