# Write what the task package-greeting publishes.
echo "Hello from $(git -C checkout rev-parse HEAD)"
