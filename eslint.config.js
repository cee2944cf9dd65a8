import js from '@eslint/js';
import next from '@next/eslint-plugin-next';
import prettier from 'eslint-config-prettier';
import boundaries from 'eslint-plugin-boundaries';
import importX from 'eslint-plugin-import-x';
import reactHooks from 'eslint-plugin-react-hooks';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { layers } from './eslint.layers.js';

const specificFirst = [...layers].sort((a, b) => b.pattern.length - a.pattern.length);
const pure = layers.filter((layer) => layer.pure === true);

/** Exactly one reason each why the clock and chance are arguments. */
const noClock = [
  { name: 'Date', message: 'Take a Clock: time is an argument here.' },
  { name: 'setTimeout', message: 'Take Timers: time is an argument here.' },
  { name: 'setInterval', message: 'Take Timers: time is an argument here.' },
  { name: 'performance', message: 'Take a Clock: time is an argument here.' },
];

export default defineConfig(
  {
    ignores: [
      '**/dist/**',
      '**/.next/**',
      '**/.sandbox/**',
      '**/.grid/**',
      '**/node_modules/**',
      'proto/src/**',
      'console/next-env.d.ts',
      '**/*.{js,mjs,cjs}',
      'vitest.config.ts',
      'console/*.config.ts',
    ],
  },
  {
    files: ['**/*.{ts,tsx}'],
    extends: [js.configs.recommended, tseslint.configs.strictTypeChecked],
    plugins: { boundaries, 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    settings: {
      'import/resolver': { typescript: { project: ['*/tsconfig.json'], noWarnOnMultipleProjects: true } },
      'boundaries/elements': specificFirst.map(({ type, pattern }) => ({ type, pattern })),
    },
    rules: {
      'boundaries/dependencies': [
        'error',
        {
          default: 'disallow',
          checkAllOrigins: true,
          checkUnknownLocals: true,
          policies: [
            ...layers.map(({ type, may }) => ({
              from: { element: { type } },
              allow: { to: { element: { types: { anyOf: [type, ...may] } } } },
            })),
            ...layers
              .filter((layer) => layer.pure !== true)
              .map(({ type }) => ({
                from: { element: { type } },
                allow: { to: { module: { origin: ['core', 'external'] } } },
              })),
          ],
        },
      ],
      'import-x/no-cycle': 'error',
      'no-console': 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'Use a union of literals.' },
        {
          selector: "MemberExpression[object.name='process'][property.name='env']",
          message: 'Only a composition root reads the environment; take configuration as an argument.',
        },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: pure.map(({ pattern }) => `${pattern}/**/*.ts`),
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-globals': ['error', ...noClock],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Take a Random: chance is an argument here.' },
      ],
    },
  },
  {
    // Programs, scripts, tests and test doubles are where the outside is met.
    files: [
      '**/main*.ts',
      'gitops-examples/*/functions/*.ts',
      '**/scripts/**',
      '**/*.config.ts',
      '**/*.test.{ts,tsx}',
      'e2e/**',
      'test/**',
      '**/testkit/**',
      'console/src/server/config.ts',
    ],
    rules: { 'no-restricted-syntax': 'off', 'no-console': 'off' },
  },
  {
    files: ['**/*.test.{ts,tsx}'],
    rules: { 'boundaries/dependencies': 'off', '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    files: ['console/**/*.{ts,tsx}'],
    plugins: { '@next/next': next, 'react-hooks': reactHooks },
    settings: { next: { rootDir: 'console' } },
    rules: {
      ...next.configs['core-web-vitals'].rules,
      ...reactHooks.configs.recommended.rules,
      '@next/next/no-html-link-for-pages': 'off',
    },
  },
  prettier,
);
