import { statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock, Timer, Timers } from '@oaas/commons/time';

export interface ResourceSamplerOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Processor time used so far, in milliseconds. */
  readonly cpuMs: () => number;
  /** Where the node's data lies. */
  readonly directory: string;
}

export interface ResourceSample {
  /** Of one core. */
  readonly cpuPercent: number;
  /** 99th percentile of how late timers were. */
  readonly eventLoopDelayMs: number;
  readonly memoryLimitBytes: number;
  /** Both 0 when they are not known. */
  readonly diskFreeBytes: number;
  readonly diskTotalBytes: number;
}

const sampleMs = 5000;
const resolutionMs = 20;
const blockBytes = 512;

/** What the process uses, sampled every five seconds. */
export class ResourceSampler {
  readonly #options: ResourceSamplerOptions;
  readonly #delays: IntervalHistogram;
  readonly #timer: Timer;
  #last: { readonly at: number; readonly cpuMs: number };
  sample: ResourceSample = {
    ...{ cpuPercent: 0, eventLoopDelayMs: 0, diskFreeBytes: 0, diskTotalBytes: 0 },
    memoryLimitBytes: memoryLimit(),
  };

  constructor(options: ResourceSamplerOptions) {
    this.#options = options;
    this.#last = { at: options.clock.monotonic(), cpuMs: options.cpuMs() };
    this.#delays = monitorEventLoopDelay({ resolution: resolutionMs });
    this.#delays.enable();
    this.#timer = options.timers.every(sampleMs, () => void this.#take());
  }

  /** Bytes read from and written to disks since the start. Systems count them in blocks of 512 bytes (getrusage). */
  diskBytes(): { readonly read: number; readonly write: number } {
    const { fsRead, fsWrite } = process.resourceUsage();
    return { read: fsRead * blockBytes, write: fsWrite * blockBytes };
  }

  close(): void {
    this.#timer.cancel();
    this.#delays.disable();
  }

  async #take(): Promise<void> {
    const { clock, cpuMs } = this.#options;
    const now = { at: clock.monotonic(), cpuMs: cpuMs() };
    const passed = now.at - this.#last.at;
    const cpuPercent = passed > 0 ? (100 * (now.cpuMs - this.#last.cpuMs)) / passed : 0;
    this.#last = now;
    // A timer that is on time comes after the resolution.
    const eventLoopDelayMs = Math.max(0, this.#delays.percentile(99) / 1e6 - resolutionMs);
    this.#delays.reset();
    this.sample = { ...this.sample, ...(await this.#disk()), cpuPercent, eventLoopDelayMs };
  }

  async #disk(): Promise<{ readonly diskFreeBytes: number; readonly diskTotalBytes: number }> {
    try {
      const { bavail, blocks, bsize } = await statfs(this.#options.directory);
      return { diskFreeBytes: bavail * bsize, diskTotalBytes: blocks * bsize };
    } catch {
      return { diskFreeBytes: 0, diskTotalBytes: 0 };
    }
  }
}

/** What the container may use, else what the machine has. */
function memoryLimit(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}
