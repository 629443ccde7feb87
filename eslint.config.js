import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  {
    ignores: [
      "**/node_modules/",
      "**/dist/",
      "target/",
      "www/lib/wasm*/",
      "playwright-report/",
      "test-results/",
    ],
  },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      eqeqeq: "error",
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({
          property,
          message: "Model text must never become markup: build nodes and set textContent.",
        })),
      ],
    },
  },
  {
    files: ["www/**/*.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "SwitchStatement[discriminant.property.name='kind']:not(:has(SwitchCase[test=null] > ExpressionStatement > TSSatisfiesExpression))",
          message: "A switch over a `kind` ends in `default: … satisfies never`.",
        },
        {
          selector:
            "ForOfStatement[await=true] IfStatement[alternate!=null] > BinaryExpression MemberExpression[property.name='kind']",
          message: "Match events with a switch that ends in `default: … satisfies never`.",
        },
      ],
    },
  },
  {
    files: ["www/app/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "/lib/(?!public/index\\.js$)",
              message: "The application imports the library only from lib/public/index.js.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["www/lib/internal/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "/public/(?!(errors|types)\\.js$)",
              message: "Internal modules import only errors and types from lib/public.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: {
      globals: { Buffer: "readonly", console: "readonly", process: "readonly", URL: "readonly" },
    },
  },
  {
    files: ["crates/**/*.js"],
    languageOptions: {
      globals: {
        GPUBufferUsage: "readonly",
        GPUCommandEncoder: "readonly",
        GPUComputePassEncoder: "readonly",
        GPUShaderStage: "readonly",
      },
    },
  },
  {
    files: ["bench/compare/page/**/*.js"],
    languageOptions: { globals: { fetch: "readonly", performance: "readonly" } },
  },
);
