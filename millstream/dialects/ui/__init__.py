"""The AI SDK's UI message stream, version 1, which useChat speaks: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol"""
