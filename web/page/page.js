// The page around the networks: it draws, listens, and lets a demo train for some milliseconds of each frame.
//
// In the address, `demo=digits|painting|writing` chooses a demo, `auto=1` starts it, `device=cpu` does without the GPU, `theme=light|dark` is
// as it says, and `report=1` sends what came of it to where the page was loaded from, as web/test.py wants it.

import init, { Machine, DigitsDemo, PaintingDemo, WritingDemo } from "./wasm/wgrad_web.js";

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

/** One of the style's colours, as it is in the light or the dark. */
function color(name) {
  $("device").style.setProperty("outline-color", `var(${name})`);
  return getComputedStyle($("device")).outlineColor;
}

/** Milliseconds of a frame in which steps are submitted; the rest is the page's. */
const BUDGET = 24;

let machine;
let current;

/** What the browser tells of its GPU. */
let gpu = {};

// A test's browser takes its picture of the page when this arrives, which is when everything is done.
if (query.has("report")) document.documentElement.append(Object.assign(new Image(), { src: "/hold", hidden: true }));

// What a digit looks like that nobody has drawn yet.
const FIRST_STROKES = [[...Array(30).keys()].flatMap((k) => {
  const t = k / 29;
  // A bow, a slope and a foot: 2.
  if (t < 0.5) { const a = Math.PI * (1.1 - 2.5 * t); return [280 + 118 * Math.cos(a), 215 - 112 * Math.sin(a)]; }
  if (t < 0.8) { const s = (t - 0.5) / 0.3; return [370 - 195 * s, 275 + 165 * s]; }
  return [175 + 235 * (t - 0.8) / 0.2, 440];
})];

/** Numbers as people read them. */
const count = (n) => Math.round(n).toLocaleString("en");
const short = (x) => !Number.isFinite(x) ? "–" : x >= 100 ? x.toFixed(0) : x >= 1 ? x.toFixed(2) : x >= 0.001 ? x.toFixed(4) : x.toExponential(1);
const share = (x) => `${(100 * x).toFixed(1)} %`;

/** A demo's network with its training: one call at a time, for a network does one thing at a time. */
class Run {
  constructor(name) {
    this.name = name;
    this.running = false;
    this.steps = 0;
    this.losses = [];
    this.times = [];
    this.score = undefined;
    this.turn = Promise.resolve();
  }

  /** Waits for what the network does now, then does something with it. */
  ask(work) {
    const done = this.turn.then(async () => { this.network ??= await DEMOS[this.name].open(); return work(this.network); });
    this.turn = done.catch(() => {});
    return done;
  }

  /** Steps in each of the last seconds' frames, by which a second's are known. */
  get speed() {
    if (this.times.length < 2) return NaN;
    const [first, last] = [this.times[0], this.times.at(-1)];
    return (last.steps - first.steps) / Math.max(last.at - first.at, 1) * 1000;
  }

  train() {
    this.running = true;
    buttons();
    this.ended ??= this.loop().finally(() => { this.ended = undefined; });
  }

  async loop() {
    this.times = [];
    try {
      while (this.running) {
        const report = await this.ask((network) => network.train(BUDGET));
        this.steps = report.steps;
        this.losses.push([report.steps, report.loss]);
        report.free();
        // A curve has no more points than a screen has pixels.
        if (this.losses.length > 1200) this.losses = this.losses.filter((_, index) => index % 2 === 0 || index > 1000);
        const at = performance.now();
        this.times.push({ at, steps: this.steps });
        while (this.times.length > 2 && at - this.times[0].at > 3000) this.times.shift();
        await DEMOS[this.name].show(this, at);
        if (this === current) numbers();
        await frame();
      }
    } catch (error) {
      fail(error);
    }
    this.running = false;
    buttons();
  }
}

/** The next frame; a page that nobody sees has none, and goes on slowly. */
const frame = () => new Promise((done) => document.hidden ? setTimeout(done, 50) : requestAnimationFrame(done));

const DEMOS = {
  digits: {
    score: "accuracy",
    about: "A network of three dense layers, 64 → 128 → 64 → 10, sees 1,437 digits, each a little turned, scaled and blurred by noise at every look. The accuracy is that on 360 others.",
    open: () => DigitsDemo.open(machine, seed()),
    async show(run, at) {
      if (!(at - run.shown < 500)) {
        run.shown = at;
        run.score = await run.ask((network) => network.accuracy());
      }
      if (run === current) await guess(run);
    },
    value: (run) => share(run.score),
    reached: (run) => run.score >= 0.965,
  },
  painting: {
    score: "error, of 255",
    about: "Three layers of 64 sines and a dense one turn a place (x, y) into a colour. Each step shows it 1,024 of the picture's points (512 on the CPU).",
    open: () => PaintingDemo.open(machine, pixels("picture"), seed()),
    async show(run, at) {
      // As often as it costs a fourth of the time.
      if (at - run.shown < 4 * run.took) return;
      const bytes = await run.ask((network) => network.paint());
      run.shown = performance.now();
      run.took = run.shown - at;
      run.picture = new Uint8ClampedArray(bytes);
      if (run === current) put("painted", run.picture);
    },
    value: (run) => (255 * Math.sqrt(run.losses.at(-1)[1])).toFixed(1),
    reached: (run) => run.losses.at(-1)[1] < 0.01,
  },
  writing: {
    score: "bits a letter",
    about: "An LSTM reads many places of the text side by side and guesses each next letter. What it writes is drawn from its guesses. It has 128 units; 32 where the GPU is one in software.",
    open: () => WritingDemo.open(machine, own.text, gpu.architecture === "swiftshader", seed()),
    async show(run, at) {
      if (at - run.shown < 4 * run.took) return;
      const text = await run.ask((network) => network.write(6, Number($("temperature").value)));
      run.shown = performance.now();
      run.took = run.shown - at;
      write(run, text);
    },
    value: (run) => (run.losses.at(-1)[1] / Math.LN2).toFixed(2),
    reached: (run) => run.losses.at(-1)[1] < (gpu.architecture === "swiftshader" ? 2.6 : 2.1),
  },
};

/** What the visitor has brought. */
const own = { text: undefined };
const runs = {};
const seed = () => query.has("seed") ? Number(query.get("seed")) : crypto.getRandomValues(new Uint32Array(1))[0];

// ------------------------------------------------------------------ what is common

function fail(error) {
  console.error(error);
  $("error").hidden = false;
  $("error").textContent = String(error?.message ?? error);
  post("/result", JSON.stringify({ error: String(error?.stack ?? error) }));
}

function buttons() {
  const run = current;
  $("start").disabled = $("again").disabled = !machine;
  $("start").textContent = run.running ? "Stop" : run.steps ? "Go on" : "Start";
  $("weights").disabled = !run.network;
}

function numbers() {
  const run = current;
  $("steps").textContent = count(run.steps);
  $("speed").textContent = Number.isFinite(run.speed) ? (run.speed < 10 ? run.speed.toFixed(1) : count(run.speed)) : "–";
  $("loss").textContent = run.losses.length ? short(run.losses.at(-1)[1]) : "–";
  $("score").textContent = run.losses.length ? DEMOS[run.name].value(run) : "–";
  $("weights").disabled = !run.network;
  curve(run.losses);
}

/** A canvas whose pixels are the screen's. */
function sharp(canvas) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** The loss by steps, on a logarithmic scale; faint as it was, and smoothed. */
function curve(losses) {
  const { context, width, height } = sharp($("curve"));
  const points = losses.filter(([, loss]) => loss > 0 && Number.isFinite(loss));
  if (points.length < 2) return;
  const logs = points.map(([, loss]) => Math.log(loss));
  const [low, high] = [Math.min(...logs), Math.max(...logs)];
  const [left, right, top, bottom] = [44, 10, 12, 22];
  const range = Math.max(high - low, 0.05);
  const x = (step) => left + (width - left - right) * step / points.at(-1)[0];
  const y = (log) => top + (height - top - bottom) * (high - log) / range;
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  context.lineWidth = 1;
  context.fillStyle = color("--faint");
  context.strokeStyle = color("--line");
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const part of [0, 0.5, 1]) {
    const log = high - range * part;
    context.beginPath();
    context.moveTo(left, y(log));
    context.lineTo(width - right, y(log));
    context.stroke();
    const value = Math.exp(log);
    context.fillText(value >= 0.01 ? value.toPrecision(2) : value.toExponential(0), left - 6, y(log));
  }
  context.textBaseline = "alphabetic";
  context.fillText(`${count(points.at(-1)[0])} steps`, width - right, height - 6);
  const line = (values, style, thickness) => {
    context.strokeStyle = style;
    context.lineWidth = thickness;
    context.lineJoin = "round";
    context.beginPath();
    values.forEach((log, index) => context.lineTo(x(points[index][0]), y(log)));
    context.stroke();
  };
  context.globalAlpha = 0.35;
  line(logs, color("--accent"), 1);
  context.globalAlpha = 1;
  let mean = logs[0];
  const weight = Math.min(0.3, 30 / points.length);
  line(logs.map((log) => (mean += weight * (log - mean))), color("--accent"), 2);
}

function choose(name) {
  if (current) current.running = false;
  runs[name] ??= new Run(name);
  current = runs[name];
  for (const tab of document.querySelectorAll("[role=tab]")) tab.setAttribute("aria-selected", tab.dataset.demo === name);
  for (const stage of document.querySelectorAll("[data-stage]")) stage.hidden = stage.dataset.stage !== name;
  $("score-name").textContent = DEMOS[name].score;
  $("about").textContent = DEMOS[name].about;
  if (name === "digits") draw();
  buttons();
  numbers();
}

/** Another network, of other first weights, begins at once where the last one was running. */
function anew() {
  const was = current.running;
  current.running = false;
  const old = current;
  Promise.resolve(old.ended).then(() => old.turn).then(() => old.network?.free());
  runs[old.name] = new Run(old.name);
  choose(old.name);
  bars([]);
  if (old.name === "painting") sharp($("painted"));
  if (old.name === "writing") $("sheet").replaceChildren();
  if (was) current.train();
}

async function download() {
  const run = current;
  const bytes = await run.ask((network) => network.weights());
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = `${run.name}.safetensors`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ------------------------------------------------------------------ digits

let strokes = FIRST_STROKES.map((stroke) => [...stroke]);
let seen;

function draw() {
  const context = $("pad").getContext("2d");
  context.clearRect(0, 0, 560, 560);
  context.strokeStyle = color("--ink");
  context.lineWidth = 34;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    for (let k = 0; k < stroke.length; k += 2) context.lineTo(stroke[k], stroke[k + 1]);
    if (stroke.length === 2) context.lineTo(stroke[0] + 0.1, stroke[1]);
    context.stroke();
  }
  if (!machine) return;
  const ends = strokes.map((sum => (stroke) => sum += stroke.length)(0));
  seen = strokes.length ? DigitsDemo.picture(new Float32Array(strokes.flat()), new Uint32Array(ends)) : undefined;
  const image = new ImageData(8, 8);
  const [r, g, b] = rgb(color("--ink"));
  (seen ?? new Float32Array(64)).forEach((level, index) => image.data.set([r, g, b, 255 * level], 4 * index));
  $("seen").getContext("2d").putImageData(image, 0, 0);
}

/** The bytes of a colour, however it is written. */
function rgb(style) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = style;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}

async function guess(run) {
  bars(seen && run.network ? await run.ask((network) => network.guess(seen)) : []);
}

function bars(scores) {
  const best = scores.length ? scores.indexOf(Math.max(...scores)) : -1;
  [...$("bars").children].forEach((bar, digit) => {
    bar.style.setProperty("--share", scores[digit] ?? 0);
    bar.classList.toggle("best", digit === best);
    bar.title = scores.length ? share(scores[digit]) : "";
  });
}

function listenToThePen() {
  const pad = $("pad");
  const place = (event) => {
    const box = pad.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * 560, (event.clientY - box.top) / box.height * 560];
  };
  let stroke;
  let fresh = true;
  const changed = () => { draw(); if (!current.running && current.network) guess(current).catch(fail); };
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    // The example gives way to what is drawn.
    if (fresh) strokes = [];
    fresh = false;
    stroke = place(event);
    strokes.push(stroke);
    changed();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) stroke.push(...place(each));
    changed();
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { stroke = undefined; });
  $("clear").addEventListener("click", () => { strokes = []; fresh = false; bars([]); changed(); });
}

// ------------------------------------------------------------------ painting

const put = (id, bytes) => {
  const side = Math.sqrt(bytes.length / 4);
  const canvas = $(id);
  canvas.width = canvas.height = side;
  canvas.getContext("2d").putImageData(new ImageData(bytes, side, side), 0, 0);
};

const pixels = (id) => {
  const canvas = $(id);
  return new Uint8Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
};

/** Evening at the sea, for want of a picture of the visitor's. */
function scene() {
  const c = $("picture").getContext("2d", { willReadFrequently: true });
  const fill = (style, path) => { c.fillStyle = style; c.beginPath(); path(); c.fill(); };
  const gradient = (y0, y1, ...stops) => {
    const g = c.createLinearGradient(0, y0, 0, y1);
    stops.forEach(([at, style]) => g.addColorStop(at, style));
    return g;
  };
  fill(gradient(0, 84, [0, "#1f2a5a"], [0.45, "#b4477a"], [0.8, "#f5925a"], [1, "#fde08a"]), () => c.rect(0, 0, 128, 84));
  for (const [x, y, r] of [[14, 10, 0.9], [33, 21, 0.7], [58, 8, 0.8], [101, 15, 0.9], [118, 6, 0.7], [84, 24, 0.6]]) fill("#fff3d6", () => c.arc(x, y, r, 0, 7));
  fill("#fff1c4", () => c.arc(82, 66, 15, 0, 7));
  const ridge = (style, base, waves) => fill(style, () => {
    c.moveTo(0, 86);
    for (let x = 0; x <= 128; x++) c.lineTo(x, base - waves.reduce((sum, [height, length, shift]) => sum + height * Math.abs(Math.sin(x / length + shift)), 0));
    c.lineTo(128, 86);
  });
  ridge("#8a3f74", 82, [[17, 23, 1.2], [6, 7, 0.3]]);
  ridge("#4c2a63", 86, [[14, 15, 2.6], [4, 5, 1]]);
  fill(gradient(84, 128, [0, "#f0925f"], [0.25, "#7c3d78"], [1, "#171c45"]), () => c.rect(0, 84, 128, 44));
  for (let k = 0; k < 9; k++) fill(`rgba(255, 231, 170, ${0.85 - 0.08 * k})`, () => c.ellipse(82 + 3 * Math.sin(k * 2.1), 87 + 4.4 * k, 13 - k * 0.7 + 4 * Math.abs(Math.sin(k * 1.7)), 1, 0, 0, 7));
  // A boat.
  fill("#151530", () => { c.moveTo(22, 102); c.lineTo(52, 102); c.quadraticCurveTo(48, 110, 42, 110); c.lineTo(30, 110); c.quadraticCurveTo(25, 109, 22, 102); });
  fill("#f7ead0", () => { c.moveTo(38, 70); c.quadraticCurveTo(54, 86, 51, 99); c.lineTo(38, 99); });
  fill("#e2574c", () => { c.moveTo(36, 76); c.lineTo(36, 99); c.lineTo(24, 99); });
}

/** The middle of a picture, as a square. */
async function bring(file) {
  const image = await createImageBitmap(file);
  const side = Math.min(image.width, image.height);
  const context = $("picture").getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, 128, 128);
  context.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, 128, 128);
  anew();
}

// ------------------------------------------------------------------ writing

/** Letters more, under the step at which they were written. */
function write(run, text) {
  run.text = (run.text ?? "") + text;
  const sheet = $("sheet");
  const follows = sheet.scrollTop + sheet.clientHeight > sheet.scrollHeight - 60;
  let paragraph = sheet.lastElementChild;
  const length = paragraph?.textContent.length ?? 0;
  const isFull = length > 500 || length > 280 && paragraph.textContent.endsWith("\n");
  if (!paragraph?.classList.contains("now") || isFull) {
    paragraph?.classList.remove("now");
    sheet.querySelector(".empty")?.remove();
    text = text.trimStart();
    const title = document.createElement("h3");
    title.textContent = `after ${count(run.steps)} ${run.steps === 1 ? "step" : "steps"}, loss ${short(run.losses.at(-1)[1])}`;
    paragraph = document.createElement("p");
    paragraph.className = "now";
    sheet.append(title, paragraph);
    while (sheet.childElementCount > 80) sheet.firstElementChild.remove();
  }
  paragraph.textContent += text;
  if (follows) sheet.scrollTop = sheet.scrollHeight;
}

// ------------------------------------------------------------------ what a test is told

async function post(path, body) {
  if (query.has("report")) await fetch(path, { method: "POST", body });
}

async function report(seconds) {
  const [run, began] = [current, performance.now()];
  const isOver = () => run.losses.length && DEMOS[run.name].reached(run) || performance.now() - began > 1000 * seconds;
  while (run.running && !isOver()) await new Promise((done) => setTimeout(done, 100));
  if (!run.losses.length) return fail("nothing was trained");
  run.running = false;
  const weights = await run.ask((network) => network.weights());
  await post(`/weights/${run.name}${machine.is_cpu ? "-cpu" : ""}.safetensors`, weights);
  const mean = (losses) => losses.reduce((sum, [, loss]) => sum + loss, 0) / losses.length;
  await post("/result", JSON.stringify({
    demo: run.name, device: $("device").textContent.trim(), cpu: machine.is_cpu, steps: run.steps, speed: run.speed,
    first: mean(run.losses.slice(0, 1)), last: mean(run.losses.slice(-5)), accuracy: run.score, text: run.text,
    seconds: (performance.now() - began) / 1000,
  }));
}

// ------------------------------------------------------------------ begin

/** What the page computes on. A browser may keep the GPU's own name to itself, and tell its maker and its kind. */
function named(machine) {
  if (machine.is_cpu) return `CPU${query.get("device") === "cpu" ? "" : ": there is no WebGPU here"}`;
  if (machine.name) return machine.name;
  return [gpu.vendor, gpu.architecture].filter(Boolean).join(" ") || "WebGPU";
}

async function begin() {
  const theme = query.get("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  $("bars").replaceChildren(...[...Array(10).keys()].map((digit) => {
    const bar = document.createElement("li");
    bar.append(document.createElement("span"), String(digit));
    return bar;
  }));
  scene();
  choose(DEMOS[query.get("demo")] ? query.get("demo") : "digits");
  listenToThePen();
  for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => choose(tab.dataset.demo));
  $("start").addEventListener("click", () => { if (current.running) current.running = false; else current.train(); });
  $("again").addEventListener("click", anew);
  $("weights").addEventListener("click", () => download().catch(fail));
  $("image").addEventListener("change", (event) => { if (event.target.files[0]) bring(event.target.files[0]).catch(fail); });
  $("text").addEventListener("change", async (event) => {
    if (event.target.files[0]) { own.text = await event.target.files[0].text(); anew(); }
  });
  $("stage").addEventListener("dragover", (event) => { if (current.name === "painting") { event.preventDefault(); $("stage").classList.add("drop"); } });
  for (const end of ["dragleave", "drop"]) $("stage").addEventListener(end, () => $("stage").classList.remove("drop"));
  $("stage").addEventListener("drop", (event) => {
    if (current.name !== "painting" || !event.dataTransfer.files[0]) return;
    event.preventDefault();
    bring(event.dataTransfer.files[0]).catch(fail);
  });
  const redraw = () => { draw(); numbers(); };
  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", numbers);

  await init();
  machine = await Machine.open(query.get("device") === "cpu");
  if (!machine.is_cpu) gpu = (await navigator.gpu.requestAdapter())?.info ?? {};
  $("device").dataset.state = machine.is_cpu ? "cpu" : "gpu";
  $("device").lastElementChild.textContent = named(machine);
  draw();
  buttons();
  if (query.has("auto")) current.train();
  if (query.has("report")) await report(Number(query.get("seconds") ?? 60));
}

begin().catch(fail);
