// Gives WGSL to Tint, the compiler of Chrome and Edge, which refuses some of what naga takes. It needs no GPU: Dawn's null backend validates
// shaders and pipelines all the same.
//
//   npm install webgpu                      (in this folder, or in any above it)
//   node tools/browser/tint.mjs FILE|FOLDER…
//
// A file has one shader, or several, each behind a line "// ---- name ----", as `wgrad inspect … --stage wgsl` and the test of all shaders
// write them. Exit status: 0 where all are taken or nothing could be checked (which is said), 1 where one is refused, 2 for wrong usage.
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const HEADING = /^\/\/ ---- (.*) ----$/;

// What naga has and browsers have not. A subgroup's barrier has a stand-in, so that all else of its shader is checked; shaders with 64-bit
// integers are for native devices alone.
const STAND_INS = [
    { uses: /\bsubgroupBarrier\(/, text: 'fn subgroupBarrier() { workgroupBarrier(); }\n' },
];
const NATIVE_ONLY = /\b[iu]64\b/;

// Problems that are shown, of each message; the rest is counted.
const SHOWN = 5;

function skip(reason) {
    console.log(`tint: SKIPPED, nothing was checked: ${reason}`);
    process.exit(0);
}

async function openDevice() {
    let webgpu;
    try {
        webgpu = await import('webgpu');
    } catch (error) {
        skip(`the npm package \`webgpu\` is not there (${error.code ?? error.message}); \`npm install webgpu\` brings it`);
    }
    Object.assign(globalThis, webgpu.globals);
    // The object must stay alive as long as the device.
    globalThis.dawn = webgpu.create(['backend=null']);
    const adapter = await globalThis.dawn.requestAdapter();
    if (!adapter) {
        skip('Dawn has no null backend here');
    }
    const features = ['subgroups', 'shader-f16'].filter((feature) => adapter.features.has(feature));
    return adapter.requestDevice({ requiredFeatures: features });
}

function* files(paths) {
    for (const path of paths) {
        if (statSync(path).isDirectory()) {
            yield* files(readdirSync(path).sort().map((name) => join(path, name)).filter((name) => name.endsWith('.wgsl')));
        } else {
            yield path;
        }
    }
}

// The shaders of a file, line by line: all of them together may be larger than a string can be.
async function* shaders(path) {
    let name = path;
    let lines = [];
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
        const heading = HEADING.exec(line);
        if (heading) {
            if (lines.some((line) => line.trim())) {
                yield { name, code: lines.join('\n') };
            }
            [name, lines] = [heading[1], []];
        } else {
            lines.push(line);
        }
    }
    if (lines.some((line) => line.trim())) {
        yield { name, code: lines.join('\n') };
    }
}

// The shader as a browser would have to get it.
function forBrowsers(code) {
    const without = code.replace(/\/\/.*$/gm, '');
    const ends = STAND_INS.filter(({ uses }) => uses.test(without)).map(({ text }) => text);
    // naga knows no such line, and Tint wants it. It stays on the first line, so that numbers of lines are right.
    const begins = /\bsubgroup/.test(without) ? 'enable subgroups; ' : '';
    return { text: `${begins}${code}\n${ends.join('')}`, isNative: NATIVE_ONLY.test(without) };
}

async function messagesOf(device, text) {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code: text });
    const { messages } = await module.getCompilationInfo();
    await device.popErrorScope();
    return messages.filter(({ type }) => type !== 'info');
}

const paths = process.argv.slice(2);
if (paths.length === 0) {
    console.error('usage: node tint.mjs FILE|FOLDER…');
    process.exit(2);
}
const device = await openDevice();
const counts = { passed: 0, refused: 0, warned: 0, native: 0 };
// Of each message, how many shaders have it.
const told = new Map();
for (const path of files(paths)) {
    for await (const { name, code } of shaders(path)) {
        const { text, isNative } = forBrowsers(code);
        if (isNative) {
            counts.native += 1;
            continue;
        }
        const messages = await messagesOf(device, text);
        const isRefused = messages.some(({ type }) => type === 'error');
        counts[isRefused ? 'refused' : 'passed'] += 1;
        counts.warned += messages.some(({ type }) => type === 'warning') ? 1 : 0;
        for (const { type, lineNum, linePos, message } of messages) {
            const count = (told.get(message) ?? 0) + 1;
            told.set(message, count);
            if (count <= SHOWN) {
                const line = text.split('\n')[lineNum - 1]?.trim() ?? '';
                console.log(`${type}: ${name}, line ${lineNum}:${linePos}: ${message}\n    ${line}`);
            }
        }
    }
}
for (const [message, count] of told) {
    if (count > SHOWN) {
        console.log(`${count} times: ${message}`);
    }
}
const { passed, refused, warned, native } = counts;
console.log(`tint: ${passed} shaders passed, ${refused} refused, ${warned} with warnings; ${native} for native devices alone (64-bit integers)`);
if (passed + refused === 0) {
    skip(`no shaders in ${paths.join(', ')} that a browser could run`);
}
process.exit(refused > 0 ? 1 : 0);
