/** Helpers that every test may use: simulated time, repeatable chance, waiting for conditions, temporary folders. */
export { seededRandom, simulatedTime, type SimulatedTime } from './time.ts';
export { eventually, type EventuallyOptions } from './eventually.ts';
export { tempDir, type TempDir } from './temp-dir.ts';
export { hasProgram } from './has-program.ts';
