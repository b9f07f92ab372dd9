// Wheel and drag over a plot, beside bokeh's own tools: gain and offset of lanes.

const SEND_INTERVAL = 60; // ms: as often as the eye needs, not as often as a wheel turns

/** Sums up what comes in a short while; `send` gets the sum. */
function gathered(zero, add, send) {
  let [sum, timer] = [zero, undefined];
  return (value, target) => {
    sum = add(sum, value);
    timer ??= setTimeout(() => {
      const whole = sum;
      [sum, timer] = [zero, undefined];
      send(whole, target);
    }, SEND_INTERVAL);
  };
}

/**
 * Listen to a panel's element. Shift and wheel: all traces higher or lower. Alt and wheel, or the wheel over the labels:
 * those of one channel. A drag of a label moves its channel, a double click shows it alone.
 */
export function watchGestures(panel, place, send, listen) {
  const gainAll = gathered(1, (a, b) => a * b, (factor) => send({ kind: "zoom", factor }));
  const gainOne = gathered(1, (a, b) => a * b, (factor, channel) =>
    send({ kind: "gain", panel: panel.index, channels: [channel], factor }),
  );
  const shift = gathered(0, (a, b) => a + b, (lanes, channel) =>
    send({ kind: "shift", panel: panel.index, channels: [channel], lanes }),
  );
  const spot = (event) => {
    const box = panel.canvas.element.getBoundingClientRect();
    const { start, end } = panel.plotView.model.y_range;
    const y = end - ((event.clientY - box.top) / box.height) * (end - start);
    const channels = panel.layout?.channels ?? [];
    const lane = Math.min(channels.length - 1, Math.max(0, channels.length - 1 - Math.round(y)));
    const inside = event.clientY >= box.top && event.clientY <= box.bottom;
    return { y, channel: channels[lane], onLabels: inside && event.clientX < box.left, inFrame: inside && event.clientX >= box.left };
  };
  const take = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };

  listen(place, "wheel", (event) => {
    const { channel, onLabels, inFrame } = spot(event);
    const factor = 1.15 ** -Math.sign(event.deltaY || event.deltaX);
    if (inFrame && event.shiftKey) gainAll(factor);
    else if (onLabels || (inFrame && event.altKey)) gainOne(factor, channel);
    else return;
    take(event);
  }, { capture: true, passive: false });

  listen(place, "pointerdown", (event) => {
    const from = spot(event);
    if (!from.onLabels || event.button !== 0) return;
    take(event);
    let last = from.y;
    const move = (moved) => {
      const { y } = spot(moved);
      shift(y - last, from.channel);
      last = y;
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  }, { capture: true });

  listen(place, "dblclick", (event) => {
    const { onLabels, channel } = spot(event);
    if (!onLabels) return;
    take(event);
    const name = panel.layout.names[channel];
    const on = !panel.layout.settings.lanes.solo.includes(name);
    send({ kind: "solo", panel: panel.index, channels: [channel], on });
  }, { capture: true });
}
