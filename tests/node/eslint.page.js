// What every browser loads is ES5: no build makes it so.
const NAMES = ['window', 'document', 'navigator', 'location', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval',
  'XMLHttpRequest', 'CSS'];

export default [
  {
    languageOptions: {ecmaVersion: 5, sourceType: 'script', globals: Object.fromEntries(NAMES.map((name) => [name, 'readonly']))},
    rules: Object.fromEntries([
      'eqeqeq', 'no-dupe-args', 'no-dupe-keys', 'no-fallthrough', 'no-implicit-globals', 'no-redeclare', 'no-self-assign',
      'no-shadow-restricted-names', 'no-undef', 'no-unreachable', 'no-unused-vars', 'strict', 'valid-typeof',
    ].map((name) => [name, name === 'no-unused-vars' ? ['error', {caughtErrors: 'none'}] : 'error']))
  }
];
