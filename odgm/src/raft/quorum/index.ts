export * from './majority.ts';
export * from './joint.ts';
export * from './describe.ts';
