import { expect, it } from 'vitest';
import { frameOf } from './frame.ts';

const text = 'one\r\ntwo\nthree\nfour\nfive\nsix\n';

it('a problem in the middle is shown with two lines on both sides', () => {
  expect(frameOf(text, 3)).toEqual({ line: 1, lines: ['one', 'two', 'three', 'four', 'five'] });
});

it('at the edges of a file there are fewer, and its last line break is no line', () => {
  expect(frameOf(text, 1)).toEqual({ line: 1, lines: ['one', 'two', 'three'] });
  expect(frameOf(text, 6)).toEqual({ line: 4, lines: ['four', 'five', 'six'] });
});

it('a problem at the end of the file, where something is missing, is shown there', () => {
  expect(frameOf('a:\n', 2)).toEqual({ line: 1, lines: ['a:', ''] });
});

it('a line that the file does not have has no frame, and a long one is cut', () => {
  expect(frameOf(text, 99)).toBeUndefined();
  expect(frameOf('x'.repeat(1000), 1)?.lines[0]).toHaveLength(200);
});
